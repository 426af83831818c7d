use tale_primitives::{Address, GeneratorId, Name};

/// Why the register of generators refused a request.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The id is registered with another owner: an owner cannot be replaced by registering again.
    #[error("generator {id} belongs to {registered}, not to {given}")]
    OwnerDiffers {
        /// The generator.
        id: GeneratorId,
        /// Its owner.
        registered: Address,
        /// The owner that the request named.
        given: Address,
    },
    /// The id is registered with another name.
    #[error("generator {id} is called {registered}, not {given}")]
    NameDiffers {
        /// The generator.
        id: GeneratorId,
        /// Its name.
        registered: Name,
        /// The name that the request gave.
        given: Name,
    },
    /// The id is registered with other roles.
    #[error("generator {id} ({name}) is registered with other roles")]
    RolesDiffer {
        /// The generator.
        id: GeneratorId,
        /// Its name.
        name: Name,
    },
    /// Another generator has this name.
    #[error("the name {name} belongs to another generator than {id}")]
    NameTaken {
        /// The generator that asked for the name.
        id: GeneratorId,
        /// The name.
        name: Name,
    },
    /// A generator that neither trains nor validates.
    #[error("generator {id} ({name}) has no role")]
    NoRole {
        /// The generator.
        id: GeneratorId,
        /// Its name.
        name: Name,
    },
    /// A credibility above one.
    #[error("generator {id} ({name}): a credibility of {credibility_ppm} ppm is above 1000000")]
    CredibilityRange {
        /// The generator.
        id: GeneratorId,
        /// Its name.
        name: Name,
        /// The credibility that the request gave.
        credibility_ppm: u32,
    },
    /// Nobody registered this generator.
    #[error("generator {0} is not registered")]
    Unknown(GeneratorId),
    /// A stored row that the constraints should have made impossible.
    #[error("the row of generator {0} cannot be read")]
    CorruptRow(GeneratorId),
    /// The database failed.
    #[error("the register of generators cannot be reached")]
    Database(#[from] sqlx::Error),
}
