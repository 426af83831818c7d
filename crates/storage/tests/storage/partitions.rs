//! The train split divided among participants.

use tale_primitives::Seed;
use tale_storage::{DatasetManifest, RowSelection, StorageError, import, partition, read_rows};

use crate::sample_sets::{Workshop, binary, images, integers};

async fn manifest(workshop: &Workshop, rows: usize) -> DatasetManifest {
    let request = workshop.file(binary(&images(rows, 16)), integers((0..rows as i64).map(|row| row % 5)));
    workshop.import(&request).await.unwrap()
}

#[tokio::test]
async fn the_shards_are_the_train_split_each_row_once_and_in_its_order() {
    let workshop = Workshop::open().await;
    let manifest = manifest(&workshop, 1000).await;
    let train = workshop.rows(&manifest.train).await;
    // More participants than are written in one pass.
    for participants in [1, 12, 70] {
        let shards = partition(&workshop.store, &manifest, participants, 0.5, Seed::new(3)).await.unwrap();
        assert_eq!(shards.len(), participants);
        let mut all = Vec::new();
        for shard in &shards {
            assert!(shard.rows > 0);
            let rows = workshop.rows(shard).await;
            assert_eq!(rows.len() as u64, shard.rows);
            let places: Vec<_> =
                rows.iter().map(|row| train.iter().position(|other| other == row).unwrap()).collect();
            assert!(places.is_sorted());
            all.extend(places);
        }
        all.sort_unstable();
        assert_eq!(all, (0..train.len()).collect::<Vec<_>>());
        let counts = |class: usize| shards.iter().map(|shard| shard.class_counts[class]).sum::<u64>();
        assert!((0..5).all(|class| counts(class) == manifest.train.class_counts[class]));
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_objects_and_another_seed_others() {
    let workshop = Workshop::open().await;
    let manifest = manifest(&workshop, 500).await;
    let shards = partition(&workshop.store, &manifest, 6, 0.5, Seed::new(3)).await.unwrap();
    assert_eq!(partition(&workshop.store, &manifest, 6, 0.5, Seed::new(3)).await.unwrap(), shards);
    assert_ne!(partition(&workshop.store, &manifest, 6, 0.5, Seed::new(4)).await.unwrap(), shards);
}

#[tokio::test]
async fn data_sets_are_made_and_read_by_tasks_of_their_own() {
    let workshop = Workshop::open().await;
    let request = workshop.file(binary(&images(100, 16)), integers((0..100).map(|row| row % 5)));
    let (store, mut conn) = (workshop.store.clone(), workshop.database.connection().await);
    let work = tokio::spawn(async move {
        let manifest = import(&store, &mut conn, &request, &|_| {}).await?;
        let shards = partition(&store, &manifest, 3, 0.5, Seed::new(3)).await?;
        read_rows(&store, &shards[0], RowSelection::Indices(vec![0])).await
    });
    assert_eq!(work.await.unwrap().unwrap().rows(), 1);
}

#[tokio::test]
async fn a_division_that_cannot_be_made_is_refused_with_both_numbers() {
    let workshop = Workshop::open().await;
    let manifest = manifest(&workshop, 100).await;
    let refused = async |participants, alpha| {
        partition(&workshop.store, &manifest, participants, alpha, Seed::new(3)).await.unwrap_err()
    };
    assert_eq!(
        refused(71, 0.5).await.to_string(),
        "data set sample has 70 rows to train on, too few for 71 participants"
    );
    assert_eq!(partition(&workshop.store, &manifest, 70, 0.5, Seed::new(3)).await.unwrap().len(), 70);
    assert!(matches!(refused(0, 0.5).await, StorageError::NoParticipants));
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(refused(2, alpha).await, StorageError::Concentration { .. }), "{alpha}");
    }
}
