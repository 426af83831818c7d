//! A small network to settle.

use sqlx::PgConnection;
use tale_ledger::{AccountKey, Asset};
use tale_network::{NewGenerator, register_generators};
use tale_primitives::{Address, GeneratorId, UtcDay};
use tale_testkit::TestDatabase;
use tale_treasury::{Class, NewContributions, record_contributions};

use crate::owner;

pub fn day(number: u32) -> UtcDay {
    format!("2026-03-{number:02}").parse().unwrap()
}

pub fn generator(number: u32) -> GeneratorId {
    GeneratorId::derive("test", &format!("generator-{number}"))
}

pub fn holder(owner: Address) -> AccountKey {
    let asset: Asset = "xTALE".parse().unwrap();
    AccountKey::holder(owner, &asset)
}

/// A network of generators 0..6, of which 0 and 1 have one owner.
pub async fn network() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    let generators: Vec<NewGenerator> = (0..6)
        .map(|number| NewGenerator {
            id: generator(number),
            name: format!("generator-{number}").parse().unwrap(),
            owner: owner(number.max(1)),
            is_participant: true,
            is_validator: false,
            credibility_ppm: 1_000_000,
        })
        .collect();
    register_generators(&mut conn, &generators).await.unwrap();
    (database, conn)
}

pub async fn earn(conn: &mut PgConnection, source: &str, day: UtcDay, points: &[(u32, i64)]) {
    earn_in(conn, Class::Training, source, day, points).await;
}

pub async fn earn_in(
    conn: &mut PgConnection,
    class: Class,
    source: &str,
    day: UtcDay,
    points: &[(u32, i64)],
) {
    let points = points.iter().map(|(number, points)| (generator(*number), *points)).collect();
    let contributions = NewContributions { source: source.to_owned(), day, class, points };
    record_contributions(conn, &contributions).await.unwrap();
}
