//! Task kinds that do what a test needs.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tale_storage::NewArtifact;
use tale_worker::{Completion, Kind, KindRegistry, TaskContext, TaskError};

/// How many computations have noticed that they were told to stop.
pub static OBEDIENT: AtomicU32 = AtomicU32::new(0);

pub fn all() -> KindRegistry {
    KindRegistry::default()
        .with::<Echo>()
        .with::<Fails>()
        .with::<Panics>()
        .with::<Sleeps>()
        .with::<Obeys>()
        .with::<Changes>()
        .with::<Makes>()
        .with::<Prints>()
        .with::<Copies>()
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Word {
    pub word: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Doing {
    pub milliseconds: u64,
    pub away: bool,
    pub refuses: bool,
    pub lines: Option<u64>,
}

pub struct Echo;

impl Kind for Echo {
    const NAME: &'static str = "test.echo";
    const SUMMARY: &'static str = "Returns what it is given.";
    type Arguments = Word;
    type Outputs = Word;

    async fn run(_: TaskContext, arguments: Word) -> Result<Completion<Word>, TaskError> {
        Ok(Completion::of(arguments))
    }
}

pub struct Fails;

impl Kind for Fails {
    const NAME: &'static str = "test.fails";
    const SUMMARY: &'static str = "Fails in its first attempt.";
    type Arguments = Doing;
    type Outputs = u32;

    async fn run(context: TaskContext, _: Doing) -> Result<Completion<u32>, TaskError> {
        match context.attempt_number {
            1 => Err(TaskError::retry(std::io::Error::other("not yet"))),
            attempt => Ok(Completion::of(attempt)),
        }
    }
}

pub struct Panics;

impl Kind for Panics {
    const NAME: &'static str = "test.panics";
    const SUMMARY: &'static str = "Panics, here or on a thread for computations.";
    type Arguments = Doing;
    type Outputs = ();

    async fn run(context: TaskContext, arguments: Doing) -> Result<Completion<()>, TaskError> {
        if arguments.away {
            context.compute(|_| panic!("out of cheese, away")).await
        } else {
            panic!("out of cheese")
        }
    }
}

pub struct Sleeps;

impl Kind for Sleeps {
    const NAME: &'static str = "test.sleeps";
    const SUMMARY: &'static str = "Sleeps.";
    type Arguments = Doing;
    type Outputs = ();

    async fn run(_: TaskContext, arguments: Doing) -> Result<Completion<()>, TaskError> {
        tokio::time::sleep(Duration::from_millis(arguments.milliseconds)).await;
        Ok(Completion::of(()))
    }
}

pub struct Obeys;

impl Kind for Obeys {
    const NAME: &'static str = "test.obeys";
    const SUMMARY: &'static str = "Computes until it is told to stop.";
    type Arguments = Doing;
    type Outputs = ();

    async fn run(context: TaskContext, _: Doing) -> Result<Completion<()>, TaskError> {
        context
            .compute(|cancellation| {
                while !cancellation.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                OBEDIENT.fetch_add(1, Ordering::SeqCst);
                Err(TaskError::Stopped)
            })
            .await
    }
}

pub struct Changes;

impl Kind for Changes {
    const NAME: &'static str = "test.changes";
    const SUMMARY: &'static str = "Sleeps, then changes the database with its acknowledgement.";
    type Arguments = Doing;
    type Outputs = ();

    async fn run(context: TaskContext, arguments: Doing) -> Result<Completion<()>, TaskError> {
        tokio::time::sleep(Duration::from_millis(arguments.milliseconds)).await;
        let task = context.lease.task.raw();
        Ok(Completion::of(()).effect(move |connection| {
            async move {
                sqlx::query("insert into public.effect values ($1)")
                    .bind(task)
                    .execute(&mut *connection)
                    .await
                    .map_err(TaskError::retry)?;
                if arguments.refuses {
                    return Err(TaskError::Fail { message: "the books are closed".to_owned() });
                }
                Ok(())
            }
            .boxed()
        }))
    }
}

pub struct Makes;

impl Kind for Makes {
    const NAME: &'static str = "test.makes";
    const SUMMARY: &'static str = "Makes an artifact, then sleeps.";
    type Arguments = Doing;
    type Outputs = ();

    async fn run(context: TaskContext, arguments: Doing) -> Result<Completion<()>, TaskError> {
        let object = context.store.put("made".into()).await.map_err(TaskError::retry)?;
        tokio::time::sleep(Duration::from_millis(arguments.milliseconds)).await;
        let artifact = NewArtifact { name: "thing".to_owned(), media_type: "text/plain".to_owned(), object };
        Ok(Completion::of(()).artifact(artifact))
    }
}

pub struct Prints;

impl Kind for Prints {
    const NAME: &'static str = "test.prints";
    const SUMMARY: &'static str =
        "Prints lines, sleeps, and may panic; unless told how many, one of them is far too long.";
    type Arguments = Doing;
    type Outputs = ();

    async fn run(context: TaskContext, arguments: Doing) -> Result<Completion<()>, TaskError> {
        for line in 0..arguments.lines.unwrap_or(50) {
            context.log(format!("line {line}"));
        }
        if arguments.lines.is_none() {
            context.log("x".repeat(100_000));
        }
        tokio::time::sleep(Duration::from_millis(arguments.milliseconds)).await;
        assert!(!arguments.refuses, "told to");
        Ok(Completion::of(()))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Copying {
    pub from: tale_storage::ObjectRef,
    pub more: String,
}

pub struct Copies;

impl Kind for Copies {
    const NAME: &'static str = "test.copies";
    const SUMMARY: &'static str = "Reads an object and writes it with more at its end.";
    type Arguments = Copying;
    type Outputs = tale_storage::ObjectRef;

    async fn run(
        context: TaskContext,
        arguments: Copying,
    ) -> Result<Completion<tale_storage::ObjectRef>, TaskError> {
        let mut bytes = context.store.get(&arguments.from).await.map_err(TaskError::retry)?.to_vec();
        bytes.extend(arguments.more.bytes());
        let object = context.store.put(bytes.into()).await.map_err(TaskError::retry)?;
        let artifact = NewArtifact { name: "copy".to_owned(), media_type: "text/plain".to_owned(), object };
        Ok(Completion::of(object).artifact(artifact))
    }
}
