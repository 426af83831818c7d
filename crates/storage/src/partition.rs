//! The train split divided among participants, unevenly, as data in the world is.

use rand_distr::Gamma;
use tale_primitives::Seed;
use tempfile::TempDir;

use crate::{
    DatasetManifest, DatasetProblem, SplitRef, StorageError, Store,
    blocking::blocking,
    dirichlet::assign_participants,
    image_file::{ImageFile, Origin},
    routing::{temporary_directory, write_splits},
    scan::Scanned,
    split_writer::{IMAGE_COLUMN, LABEL_COLUMN, WrittenSplit},
};

/// Divides the train split of a data set among participants and writes their shards as objects.
///
/// For every class the participants' shares are drawn from a symmetric Dirichlet distribution with
/// concentration `alpha`; everyone gets at least one row. The shards are disjoint, together they are the
/// train split, and their rows keep its order. The same arguments give the same objects.
pub async fn partition(
    store: &Store,
    manifest: &DatasetManifest,
    participants: usize,
    alpha: f64,
    seed: Seed,
) -> Result<Vec<SplitRef>, StorageError> {
    if participants == 0 {
        return Err(StorageError::NoParticipants);
    }
    if !(1e-3..=1e6).contains(&alpha) {
        return Err(StorageError::Concentration { alpha });
    }
    let gamma = Gamma::new(alpha + 1.0, 1.0).map_err(|_| StorageError::Concentration { alpha })?;
    let rows = manifest.train.rows;
    if rows < participants as u64 {
        return Err(StorageError::TooManyParticipants { name: manifest.name.clone(), rows, participants });
    }
    // The split comes to a local file once, since dividing it takes two passes or more.
    let directory = temporary_directory()?;
    let fetched = directory.path().join("train.parquet");
    store.get_file(&manifest.train.object, &fetched).await?;
    let origin = Origin::Object { store: store.url().to_owned(), key: manifest.train.object.key() };

    let (shape, class_labels) = (manifest.shape, manifest.class_labels.clone());
    let divided = blocking(move || {
        let file = ImageFile::open(&fetched, origin, IMAGE_COLUMN, LABEL_COLUMN)?;
        let labels = read_labels(&file, class_labels.len() as u32)?;
        let scanned = Scanned { shape, labels, class_labels };
        let owners =
            assign_participants(&scanned.labels, scanned.classes(), participants, gamma, alpha, seed);
        let shards =
            write_splits(&file, &scanned, directory.path(), participants, &|row| owners[row], &|_| Ok(()))?;
        Ok::<_, StorageError>((shards, directory))
    });
    let (shards, directory): (Vec<WrittenSplit>, TempDir) = divided.await??;

    let mut splits = Vec::with_capacity(participants);
    for WrittenSplit { path, split } in shards {
        store.put_digested_file(&path, &split.object).await?;
        splits.push(split);
    }
    drop(directory);
    Ok(splits)
}

fn read_labels(file: &ImageFile, classes: u32) -> Result<Vec<u32>, StorageError> {
    let refuse = |problem| file.origin().refuse(problem);
    let mut labels = Vec::new();
    for rows in file.batches()? {
        let rows = rows?;
        for index in 0..rows.len() {
            let label = rows.label(index).map_err(refuse)?;
            if label >= classes {
                let row = rows.row(index);
                return Err(refuse(DatasetProblem::LabelBeyondClasses { row, label, classes }));
            }
            labels.push(label);
        }
    }
    Ok(labels)
}
