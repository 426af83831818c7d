//! Files that are sets of images become data sets.

use std::sync::Mutex;

use tale_primitives::Seed;
use tale_storage::{
    ImageShape, ImportProgress, ImportRequest, ImportStage, RowSelection, StorageError, find_dataset, import,
    list_datasets, read_rows,
};

use crate::sample_sets::{Workshop, binary, image_columns, images, integers, label_columns};

#[tokio::test]
async fn every_type_of_column_gives_the_same_splits() {
    let workshop = Workshop::open().await;
    let images = images(60, 16);
    let labels: Vec<u8> = (0..60).map(|row| row % 3).collect();
    let mut splits = Vec::new();
    for (number, image) in image_columns(&images).into_iter().enumerate() {
        for (other, label) in label_columns(&labels).into_iter().enumerate() {
            // All pairs would only repeat: every type meets the first of the other column.
            if number > 0 && other > 0 {
                continue;
            }
            let mut request = workshop.file(image.clone(), label);
            request.name = format!("set-{number}-{other}").parse().unwrap();
            let manifest = workshop.import(&request).await.unwrap();
            assert_eq!((manifest.rows, manifest.classes), (60, 3));
            assert_eq!(manifest.shape.to_string(), "4x4x1");
            splits.push((manifest.train, manifest.heldout, manifest.test));
        }
    }
    assert_eq!(splits.len(), 14);
    assert!(splits.iter().all(|split| *split == splits[0]));
}

#[tokio::test]
async fn the_splits_hold_every_image_once_and_are_balanced() {
    let workshop = Workshop::open().await;
    let images = images(1000, 12);
    let labels: Vec<i64> = (0..1000).map(|row| row % 7).collect();
    let manifest = workshop.import(&workshop.file(binary(&images), integers(labels.clone()))).await.unwrap();
    assert_eq!(manifest.shape, ImageShape::new(2, 2, 3).unwrap());

    let mut found = Vec::new();
    for (split, share) in [(&manifest.train, 0.7), (&manifest.heldout, 0.15), (&manifest.test, 0.15)] {
        let rows = workshop.rows(split).await;
        assert_eq!(rows.len() as u64, split.rows);
        for class in 0..7 {
            let count = rows.iter().filter(|(_, label)| *label == class).count();
            let all = labels.iter().filter(|label| **label == i64::from(class)).count();
            assert_eq!(count as u64, split.class_counts[class as usize]);
            assert!((count as f64 - share * all as f64).abs() < 1.0, "class {class}: {count} of {all}");
        }
        found.extend(rows);
    }
    let mut given: Vec<_> = images.into_iter().zip(labels.into_iter().map(|label| label as u32)).collect();
    given.sort();
    found.sort();
    assert_eq!(found, given);
}

#[tokio::test]
async fn a_colour_set_of_three_classes_keeps_its_labels() {
    let workshop = Workshop::open().await;
    let labels = (0..90).map(|row| [5, 900, 65_535][row % 3]);
    let manifest = workshop.import(&workshop.file(binary(&images(90, 768)), integers(labels))).await.unwrap();
    assert_eq!(manifest.shape.to_string(), "16x16x3");
    assert_eq!((manifest.classes, manifest.class_labels.as_slice()), (3, &[5, 900, 65_535][..]));
    let rows = workshop.rows(&manifest.train).await;
    assert!(rows.iter().all(|(_, label)| *label < 3));
    let first = u32::from_le_bytes(rows[0].0[..4].try_into().unwrap());
    assert_eq!(rows[0].1, first % 3, "classes follow the order of the labels");
}

#[tokio::test]
async fn a_given_shape_needs_no_square() {
    let workshop = Workshop::open().await;
    let request = workshop.file(binary(&images(40, 2 * 5 * 2)), integers((0..40).map(|row| row % 2)));
    let request = ImportRequest { shape: ImageShape::new(2, 5, 2).ok(), ..request };
    assert_eq!(workshop.import(&request).await.unwrap().shape.to_string(), "2x5x2");
}

#[tokio::test]
async fn the_same_import_again_changes_nothing_and_another_set_does_not_take_its_name() {
    let workshop = Workshop::open().await;
    let request = workshop.file(binary(&images(60, 16)), integers((0..60).map(|row| row % 3)));
    let manifest = workshop.import(&request).await.unwrap();
    let objects = workshop.objects();
    assert_eq!(objects, 4, "three splits and the manifest");
    assert_eq!(workshop.import(&request).await.unwrap(), manifest);
    assert_eq!(workshop.objects(), objects);

    let other = ImportRequest { seed: Seed::new(8), ..request.clone() };
    let error = workshop.import(&other).await.unwrap_err();
    assert!(matches!(error, StorageError::DatasetExists { .. }), "{error:?}");
    assert_eq!(error.to_string(), "data set sample exists already with other content; choose another name");
    assert_eq!(workshop.objects(), objects, "nothing is left behind");

    let mut conn = workshop.database.connection().await;
    assert_eq!(find_dataset(&workshop.store, &mut conn, &request.name).await.unwrap(), manifest);
    let listed = list_datasets(&mut conn).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), listed[0].rows, listed[0].classes), ("sample", 60, 3));
    assert_eq!(listed[0].shape, manifest.shape);
    let unknown = find_dataset(&workshop.store, &mut conn, &"other".parse().unwrap()).await.unwrap_err();
    assert!(unknown.to_string().starts_with("there is no data set other;"), "{unknown}");
}

#[tokio::test]
async fn selected_rows_are_those_of_the_whole_and_the_rest_is_not_read() {
    let workshop = Workshop::open().await;
    let request = workshop.file(binary(&images(4000, 784)), integers((0..4000).map(|row| row % 2)));
    let manifest = workshop.import(&request).await.unwrap();
    let split = &manifest.train;
    let all = workshop.rows(split).await;

    let object = workshop.directory.path().join("store").join(split.object.key());
    let mut bytes = std::fs::read(&object).unwrap();
    let quarter = bytes.len() / 4;
    bytes[quarter..2 * quarter].fill(0xff);
    std::fs::write(&object, bytes).unwrap();
    let whole = read_rows(&workshop.store, split, RowSelection::All).await.unwrap_err();
    assert!(matches!(whole, StorageError::WrongDigest { .. }), "{whole:?}");

    let indices = vec![0, 1, 2, 7, 2600, 2798, 2799];
    let picked = read_rows(&workshop.store, split, RowSelection::Indices(indices.clone())).await.unwrap();
    assert_eq!(picked.classes, 2);
    for (place, index) in indices.into_iter().enumerate() {
        let (image, label) = &all[index as usize];
        assert_eq!((picked.image(place).unwrap(), picked.labels[place]), (image.as_slice(), *label));
    }
    let damaged = read_rows(&workshop.store, split, RowSelection::Indices(vec![1100])).await;
    assert!(matches!(damaged, Err(StorageError::DecodeSplit { .. })), "{damaged:?}");
    let none = read_rows(&workshop.store, split, RowSelection::Indices(vec![])).await.unwrap();
    assert_eq!(none.rows(), 0);
    for wrong in [vec![2800], vec![3, 3], vec![4, 3]] {
        let refused = read_rows(&workshop.store, split, RowSelection::Indices(wrong)).await;
        assert!(matches!(refused, Err(StorageError::RowIndex { rows: 2800, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn the_carried_set_imports_and_progress_reaches_the_end_of_each_stage() {
    let workshop = Workshop::open().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/datasets/fashion.parquet").into();
    let request = ImportRequest {
        path,
        name: "fashion".parse().unwrap(),
        seed: ImportRequest::default_seed(),
        ..workshop.request()
    };
    let heard = Mutex::new(Vec::new());
    let listen = |progress: ImportProgress| heard.lock().unwrap().push(progress);
    let mut conn = workshop.database.connection().await;
    let begun = std::time::Instant::now();
    let manifest = import(&workshop.store, &mut conn, &request, &listen).await.unwrap();
    println!("imported in {:?}", begun.elapsed());
    assert_eq!(
        (manifest.shape.to_string().as_str(), manifest.classes, manifest.rows),
        ("28x28x1", 10, 10_000)
    );
    assert_eq!(manifest.train.class_counts, [700; 10]);
    assert_eq!(manifest.heldout.class_counts, [150; 10]);
    assert_eq!(manifest.test.class_counts, [150; 10]);
    let heard = heard.into_inner().unwrap();
    for stage in [ImportStage::Checking, ImportStage::Splitting, ImportStage::Uploading] {
        let last = heard.iter().rfind(|progress| progress.stage == stage).unwrap();
        assert_eq!(last.done, last.total, "{stage:?}");
    }
}
