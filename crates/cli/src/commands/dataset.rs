//! `tale dataset`: sets of images to train on.

use std::{path::PathBuf, process::ExitCode, sync::Mutex};

use clap::{Args, Subcommand};
use tale_primitives::{Name, Seed};
use tale_storage::{
    DatasetManifest, ImageShape, ImportProgress, ImportRequest, ImportStage, StorageError, find_dataset,
    import, list_datasets,
};

use crate::{
    arguments::Global,
    failure::{Failure, UNUSABLE},
    installation::Installation,
    interrupt, output,
    progress::Progress,
};

/// Imports, lists and shows data sets of labelled images.
#[derive(Debug, Args)]
pub struct Dataset {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Imports a Parquet file of labelled images and divides it into train, held-out and test splits.
    Import(Import),
    /// Lists the data sets.
    List,
    /// Shows one data set: its shape, classes and splits.
    Show {
        /// Its name.
        name: Name,
    },
}

/// Imports a Parquet file of labelled images.
///
/// Every row is checked before anything is written. The same file under the same name again changes nothing.
#[derive(Debug, Args)]
struct Import {
    /// The Parquet file.
    file: PathBuf,
    /// The data set's name.
    #[arg(long)]
    name: Name,
    /// The column of raw pixels: binary of any kind, or lists of uint8.
    #[arg(long, value_name = "COLUMN", default_value = "image")]
    image_column: String,
    /// The column of labels: integers from 0 to 65,535.
    #[arg(long, value_name = "COLUMN", default_value = "label")]
    label_column: String,
    /// The shape of the images; square grey or RGB ones need none.
    #[arg(long, value_name = "HxWxC")]
    shape: Option<ImageShape>,
    /// What decides which row goes to which split.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Dataset {
    /// Does what was asked for.
    pub async fn run(&self, global: &Global) -> Result<ExitCode, Failure> {
        match &self.what {
            What::Import(import) => import.run(global).await?,
            What::List => list(global).await?,
            What::Show { name } => show(global, name).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Import {
    async fn run(&self, global: &Global) -> Result<(), Failure> {
        // told before a database is started for it
        if let Err(error) = std::fs::File::open(&self.file) {
            return Err(Failure::new(format!("cannot read {}: {error}", self.file.display())).code(UNUSABLE));
        }
        let stop = interrupt::token()?;
        let installation = Installation::join(global, "tale dataset import").await?;
        let imported = tokio::select! {
            imported = self.import(&installation) => imported,
            () = stop.cancelled() => Err(interrupt::failure("nothing has been imported")),
        };
        installation.close().await?;
        print(global, &imported?)
    }

    async fn import(&self, installation: &Installation) -> Result<DatasetManifest, Failure> {
        let request = ImportRequest {
            path: self.file.clone(),
            name: self.name.clone(),
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            shape: self.shape,
            seed: self
                .seed
                .map_or_else(ImportRequest::default_seed, |number| Seed::new(number).child("dataset")),
        };
        let progress = Mutex::new(Progress::start());
        let tell = |how_far: ImportProgress| {
            if let Ok(progress) = progress.lock() {
                progress.update(&describe(how_far));
            }
        };
        let mut connection = installation.connection().await?;
        import(&installation.store, &mut connection, &request, &tell).await.map_err(|error| {
            let help = match &error {
                StorageError::DatasetExists { .. } => {
                    Some("`tale dataset show NAME` shows what stands under it")
                }
                _ => None,
            };
            let failure = Failure::from(error);
            match help {
                Some(help) => failure.help(help),
                None => failure,
            }
        })
    }
}

fn describe(how_far: ImportProgress) -> String {
    let ImportProgress { stage, done, total } = how_far;
    match stage {
        ImportStage::Checking => format!("checking: {done} of {total} rows"),
        ImportStage::Splitting => format!("splitting: {done} of {total} rows"),
        ImportStage::Uploading => {
            format!("storing: {:.1} of {:.1} MB", done as f64 / 1e6, total as f64 / 1e6)
        }
    }
}

async fn list(global: &Global) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale dataset list").await?;
    let found = list_datasets(&mut *installation.connection().await?).await;
    installation.close().await?;
    output::write(global.output, &found?, |found| {
        let mut table = output::table(&["data set", "images", "shape", "classes", "imported"]);
        for dataset in found {
            table.add_row([
                dataset.name.to_string(),
                dataset.rows.to_string(),
                dataset.shape.to_string(),
                dataset.classes.to_string(),
                dataset.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
            ]);
        }
        table
    })
}

async fn show(global: &Global, name: &Name) -> Result<(), Failure> {
    let installation = Installation::look(global, "tale dataset show").await?;
    let mut connection = installation.connection().await?;
    let found = find_dataset(&installation.store, &mut connection, name).await;
    drop(connection);
    installation.close().await?;
    print(global, &found?)
}

fn print(global: &Global, manifest: &DatasetManifest) -> Result<(), Failure> {
    if global.output == output::Format::Json {
        return output::json(manifest);
    }
    output::line(&format!(
        "{}: {} images of {} in {} classes, from a file of {} bytes with digest {}",
        manifest.name,
        manifest.rows,
        manifest.shape,
        manifest.classes,
        manifest.source.file.size_bytes,
        manifest.source.file.digest.short()
    ))?;
    let mut table = output::table(&["split", "images", "fewest of a class", "most of a class", "object"]);
    for (name, split) in
        [("train", &manifest.train), ("held-out", &manifest.heldout), ("test", &manifest.test)]
    {
        let counts = &split.class_counts;
        table.add_row([
            name.to_owned(),
            split.rows.to_string(),
            counts.iter().min().copied().unwrap_or_default().to_string(),
            counts.iter().max().copied().unwrap_or_default().to_string(),
            split.object.digest.short(),
        ]);
    }
    output::line(&table.to_string())
}
