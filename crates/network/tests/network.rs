//! Registering generators, and what the register refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sqlx::{Connection, PgConnection};
use tale_network::{
    NetworkError, NewGenerator, find_generator, list_participants, list_validators, owners_of,
    register_generators,
};
use tale_primitives::{Address, GeneratorId};
use tale_testkit::TestDatabase;

fn generator(name: &str, is_participant: bool, is_validator: bool) -> NewGenerator {
    NewGenerator {
        id: GeneratorId::derive("test", name),
        name: name.parse().unwrap(),
        owner: Address::derive(name),
        is_participant,
        is_validator,
        credibility_ppm: 500_000,
    }
}

fn three() -> Vec<NewGenerator> {
    vec![generator("b", true, false), generator("a-1", true, true), generator("a_0", false, true)]
}

async fn register(conn: &mut PgConnection, generator: NewGenerator) -> Result<u64, NetworkError> {
    register_generators(conn, &[generator]).await
}

#[tokio::test]
async fn generators_are_listed_by_role_in_the_order_of_their_names_bytes() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    assert_eq!(register_generators(&mut conn, &three()).await.unwrap(), 3);
    let names =
        |list: Vec<tale_network::Generator>| list.iter().map(|g| g.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(list_participants(&mut conn).await.unwrap()), ["a-1", "b"]);
    assert_eq!(names(list_validators(&mut conn).await.unwrap()), ["a-1", "a_0"]);
    let found = find_generator(&mut conn, GeneratorId::derive("test", "b")).await.unwrap().unwrap();
    assert_eq!((found.owner, found.credibility_ppm), (Address::derive("b"), 500_000));
    assert_eq!(find_generator(&mut conn, GeneratorId::derive("test", "c")).await.unwrap(), None);
}

#[tokio::test]
async fn registering_again_changes_nothing_not_even_a_credibility_that_has_moved() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    register_generators(&mut conn, &three()).await.unwrap();
    sqlx::raw_sql("update network.generator set credibility_ppm = 7 where name = 'b'")
        .execute(&mut conn)
        .await
        .unwrap();
    assert_eq!(register_generators(&mut conn, &three()).await.unwrap(), 0);
    let b = find_generator(&mut conn, GeneratorId::derive("test", "b")).await.unwrap().unwrap();
    assert_eq!(b.credibility_ppm, 7);
    assert_eq!(register_generators(&mut conn, &[]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_registration_that_contradicts_an_earlier_one_is_refused() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    register_generators(&mut conn, &three()).await.unwrap();
    let b = || generator("b", true, false);
    let mut transaction = conn.begin().await.unwrap();

    let owner = register(&mut transaction, NewGenerator { owner: Address::derive("x"), ..b() }).await;
    assert!(matches!(owner, Err(NetworkError::OwnerDiffers { .. })), "{owner:?}");
    let name = register(&mut transaction, NewGenerator { name: "x".parse().unwrap(), ..b() }).await;
    assert!(matches!(name, Err(NetworkError::NameDiffers { .. })), "{name:?}");
    let roles = register(&mut transaction, NewGenerator { is_validator: true, ..b() }).await;
    assert!(matches!(roles, Err(NetworkError::RolesDiffer { .. })), "{roles:?}");
    let taken =
        register(&mut transaction, NewGenerator { id: GeneratorId::derive("test", "x"), ..b() }).await;
    assert!(matches!(taken, Err(NetworkError::NameTaken { .. })), "{taken:?}");
    let idle = register(&mut transaction, generator("x", false, false)).await;
    assert!(matches!(idle, Err(NetworkError::NoRole { .. })), "{idle:?}");
    let loud = NewGenerator { credibility_ppm: 1_000_001, ..generator("x", true, false) };
    let loud = register(&mut transaction, loud).await;
    assert!(matches!(loud, Err(NetworkError::CredibilityRange { .. })), "{loud:?}");
    assert_eq!(register(&mut transaction, b()).await.unwrap(), 0, "the transaction goes on");
}

#[tokio::test]
async fn owners_are_found_by_id_and_an_unknown_id_is_named() {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    register_generators(&mut conn, &three()).await.unwrap();
    let [a, b, stranger] = ["a-1", "b", "c"].map(|name| GeneratorId::derive("test", name));
    let owners = owners_of(&mut conn, &[b, a, b]).await.unwrap();
    assert_eq!((owners.len(), owners[&a], owners[&b]), (2, Address::derive("a-1"), Address::derive("b")));
    let unknown = owners_of(&mut conn, &[a, stranger]).await;
    assert!(matches!(unknown, Err(NetworkError::Unknown(id)) if id == stranger), "{unknown:?}");
}
