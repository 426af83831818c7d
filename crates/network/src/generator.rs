use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tale_primitives::{Address, GeneratorId, Name};
use uuid::Uuid;

use crate::NetworkError;

/// Full credibility, in millionths.
pub const CREDIBILITY_PPM_MAX: u32 = 1_000_000;

/// A generator to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGenerator {
    /// Its id.
    pub id: GeneratorId,
    /// Its name, unique in the network.
    pub name: Name,
    /// The address to which its rewards accrue.
    pub owner: Address,
    /// Whether it may train.
    pub is_participant: bool,
    /// Whether it may score the updates of others.
    pub is_validator: bool,
    /// The credibility with which it starts, in millionths.
    pub credibility_ppm: u32,
}

/// A registered generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generator {
    /// Its id.
    pub id: GeneratorId,
    /// Its name, unique in the network.
    pub name: Name,
    /// The address to which its rewards accrue.
    pub owner: Address,
    /// Whether it may train.
    pub is_participant: bool,
    /// Whether it may score the updates of others.
    pub is_validator: bool,
    /// The weight of its votes, in millionths.
    pub credibility_ppm: u32,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
}

/// Registers generators and returns how many were new.
///
/// Registering again what is registered changes nothing; its credibility, which the network moves, is then left
/// as it is. An id with another owner, name or roles, and a name that another id holds, are errors, and the
/// caller's transaction remains usable but should be rolled back.
pub async fn register_generators(
    conn: &mut PgConnection,
    generators: &[NewGenerator],
) -> Result<u64, NetworkError> {
    generators.iter().try_for_each(NewGenerator::check)?;
    let ids: Vec<Uuid> = generators.iter().map(|g| g.id.raw()).collect();
    let names: Vec<String> = generators.iter().map(|g| g.name.to_string()).collect();
    let owners: Vec<Vec<u8>> = generators.iter().map(|g| g.owner.as_bytes().to_vec()).collect();
    let participants: Vec<bool> = generators.iter().map(|g| g.is_participant).collect();
    let validators: Vec<bool> = generators.iter().map(|g| g.is_validator).collect();
    let credibilities: Vec<i32> = generators.iter().map(|g| g.credibility_ppm as i32).collect();

    let inserted = sqlx::query_file!(
        "../../sql/network/insert_generators.sql",
        &ids,
        &names,
        &owners,
        &participants,
        &validators,
        &credibilities
    )
    .execute(&mut *conn)
    .await?;

    let registered: HashMap<GeneratorId, Generator> =
        sqlx::query_file_as!(Row, "../../sql/network/list_generators_by_id_or_name.sql", &ids, &names)
            .fetch_all(conn)
            .await?
            .into_iter()
            .map(|row| Generator::try_from(row).map(|generator| (generator.id, generator)))
            .collect::<Result<_, _>>()?;
    for given in generators {
        given.compare(registered.get(&given.id))?;
    }
    Ok(inserted.rows_affected())
}

/// The generators that may train, ordered by name.
pub async fn list_participants(conn: &mut PgConnection) -> Result<Vec<Generator>, NetworkError> {
    list_by_role(conn, true, false).await
}

/// The generators that may score updates, ordered by name.
pub async fn list_validators(conn: &mut PgConnection) -> Result<Vec<Generator>, NetworkError> {
    list_by_role(conn, false, true).await
}

async fn list_by_role(
    conn: &mut PgConnection,
    participants: bool,
    validators: bool,
) -> Result<Vec<Generator>, NetworkError> {
    sqlx::query_file_as!(Row, "../../sql/network/list_generators_by_role.sql", participants, validators)
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Generator::try_from)
        .collect()
}

/// The generator with this id, if it is registered.
pub async fn find_generator(
    conn: &mut PgConnection,
    id: GeneratorId,
) -> Result<Option<Generator>, NetworkError> {
    sqlx::query_file_as!(Row, "../../sql/network/find_generator.sql", id.raw())
        .fetch_optional(conn)
        .await?
        .map(Generator::try_from)
        .transpose()
}

/// The owner of each of these generators, by id; an id that nobody registered is an error.
pub async fn owners_of(
    conn: &mut PgConnection,
    ids: &[GeneratorId],
) -> Result<BTreeMap<GeneratorId, Address>, NetworkError> {
    let raw: Vec<Uuid> = ids.iter().map(|id| id.raw()).collect();
    let mut owners = BTreeMap::new();
    for row in sqlx::query_file!("../../sql/network/list_owners.sql", &raw).fetch_all(conn).await? {
        let id = GeneratorId::from_raw(row.id);
        owners.insert(id, address(id, &row.owner)?);
    }
    match ids.iter().find(|id| !owners.contains_key(id)) {
        Some(unknown) => Err(NetworkError::Unknown(*unknown)),
        None => Ok(owners),
    }
}

impl NewGenerator {
    fn check(&self) -> Result<(), NetworkError> {
        let Self { id, ref name, credibility_ppm, .. } = *self;
        if !self.is_participant && !self.is_validator {
            return Err(NetworkError::NoRole { id, name: name.clone() });
        }
        if credibility_ppm > CREDIBILITY_PPM_MAX {
            return Err(NetworkError::CredibilityRange { id, name: name.clone(), credibility_ppm });
        }
        Ok(())
    }

    fn compare(&self, registered: Option<&Generator>) -> Result<(), NetworkError> {
        let Self { id, ref name, owner, .. } = *self;
        // Neither inserted nor there: the insert met this name under another id.
        let Some(registered) = registered else {
            return Err(NetworkError::NameTaken { id, name: name.clone() });
        };
        if registered.owner != owner {
            return Err(NetworkError::OwnerDiffers { id, registered: registered.owner, given: owner });
        }
        if registered.name != *name {
            let (registered, given) = (registered.name.clone(), name.clone());
            return Err(NetworkError::NameDiffers { id, registered, given });
        }
        if (registered.is_participant, registered.is_validator) != (self.is_participant, self.is_validator) {
            return Err(NetworkError::RolesDiffer { id, name: name.clone() });
        }
        Ok(())
    }
}

struct Row {
    id: Uuid,
    name: String,
    owner: Vec<u8>,
    is_participant: bool,
    is_validator: bool,
    credibility_ppm: i32,
    registered_at: DateTime<Utc>,
}

impl TryFrom<Row> for Generator {
    type Error = NetworkError;

    fn try_from(row: Row) -> Result<Self, NetworkError> {
        let id = GeneratorId::from_raw(row.id);
        let corrupt = || NetworkError::CorruptRow(id);
        Ok(Self {
            id,
            name: row.name.parse().map_err(|_| corrupt())?,
            owner: address(id, &row.owner)?,
            is_participant: row.is_participant,
            is_validator: row.is_validator,
            credibility_ppm: row.credibility_ppm.try_into().map_err(|_| corrupt())?,
            registered_at: row.registered_at,
        })
    }
}

fn address(id: GeneratorId, bytes: &[u8]) -> Result<Address, NetworkError> {
    bytes.try_into().map(Address::from_bytes).map_err(|_| NetworkError::CorruptRow(id))
}
