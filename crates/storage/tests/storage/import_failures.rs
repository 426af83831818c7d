//! Files that are not sets of images are refused with what is wrong, and leave nothing behind.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, Float32Array, Int64Array, ListBuilder, StringArray, UInt8Builder, UInt64Array,
    },
    datatypes::{DataType, Int64Type},
};
use rand::RngExt;
use tale_primitives::Seed;
use tale_storage::{ImageShape, ImportRequest, StorageError, list_datasets};

use crate::sample_sets::{Workshop, binary, images, integers, nulls, pixels, write};

/// Imports, and gives the message without the path in front.
async fn refusal(workshop: &Workshop, request: &ImportRequest) -> String {
    let error = workshop.import(request).await.expect_err("the import must fail");
    assert!(matches!(error, StorageError::Import { .. }), "{error:?}");
    assert_eq!(workshop.objects(), 0, "nothing is left in the store");
    let mut conn = workshop.database.connection().await;
    assert_eq!(list_datasets(&mut conn).await.unwrap(), [], "nothing is left in the database");
    let prefix = format!("cannot import {}: ", request.path.display());
    error.to_string().strip_prefix(&prefix).expect("the message names the file").to_owned()
}

fn labels(rows: i64) -> ArrayRef {
    integers((0..rows).map(|row| row % 2))
}

#[tokio::test]
async fn a_file_that_is_not_parquet_is_refused() {
    let workshop = Workshop::open().await;
    let whole = workshop.file(binary(&images(300, 16)), labels(300));
    let bytes = std::fs::read(&whole.path).unwrap();
    let broken_footer = {
        let mut bytes = bytes.clone();
        let end = bytes.len();
        bytes[end - 200..end - 8].fill(0xff);
        bytes
    };
    for (content, message) in [
        (&b""[..], "the file is empty"),
        (b"PK\x03", "it is not a Parquet file"),
        (b"image,label\n0,1\n", "it is not a Parquet file"),
        (b"PAR1PAR1", "it is a Parquet file that was cut short: its footer is missing"),
        (&bytes[..bytes.len() / 2], "it is a Parquet file that was cut short: its footer is missing"),
        (&bytes[..bytes.len() - 1], "it is a Parquet file that was cut short: its footer is missing"),
    ] {
        std::fs::write(&whole.path, content).unwrap();
        assert_eq!(refusal(&workshop, &whole).await, message);
    }
    std::fs::write(&whole.path, broken_footer).unwrap();
    let message = refusal(&workshop, &whole).await;
    assert!(message.starts_with("its Parquet footer cannot be read ("), "{message}");

    let mut broken_pages = bytes;
    broken_pages[4..2000].fill(0xff);
    std::fs::write(&whole.path, broken_pages).unwrap();
    let message = refusal(&workshop, &whole).await;
    assert!(message.starts_with("rows from row 0 on cannot be decoded ("), "{message}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_or_read_and_never_a_panic() {
    let workshop = Workshop::open().await;
    let whole = workshop.file(binary(&images(250, 16)), labels(250));
    let bytes = std::fs::read(&whole.path).unwrap();
    for number in tale_testkit::seeds(60) {
        let _notice = tale_testkit::announce_on_panic(number);
        let mut rng = Seed::new(number).rng();
        let mut damaged = bytes.clone();
        // The footer is the smaller part, and the one with more to go wrong.
        let first = if number % 2 == 0 { 4 } else { bytes.len() - 900 };
        for _ in 0..rng.random_range(1..8) {
            let place = rng.random_range(first..bytes.len() - 4);
            damaged[place] = rng.random();
        }
        std::fs::write(&whole.path, damaged).unwrap();
        let name = format!("damaged-{number}").parse().unwrap();
        let outcome = workshop.import(&ImportRequest { name, ..whole.clone() }).await;
        assert!(matches!(outcome, Ok(_) | Err(StorageError::Import { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_refused_with_its_path() {
    let workshop = Workshop::open().await;
    let error = workshop.import(&workshop.request()).await.unwrap_err();
    assert!(matches!(error, StorageError::LocalFile { .. }), "{error:?}");
    assert!(error.to_string().contains("images.parquet"), "{error}");
}

#[tokio::test]
async fn a_column_that_is_missing_or_of_another_type_is_refused() {
    let workshop = Workshop::open().await;
    let path = workshop.request().path;
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|row| row.to_string())));
    let floats: ArrayRef = Arc::new(Float32Array::from_iter_values((0..40u8).map(f32::from)));
    let list = arrow::array::ListArray::from_iter_primitive::<Int64Type, _, _>(
        (0..40).map(|_| Some(vec![Some(1); 16])),
    );
    write(
        &path,
        &[
            ("image", binary(&images(40, 16))),
            ("label", labels(40)),
            ("text", text),
            ("score", floats),
            ("wide", Arc::new(list)),
        ],
    );
    let request = |image: &str, label: &str| ImportRequest {
        image_column: image.to_owned(),
        label_column: label.to_owned(),
        ..workshop.request()
    };
    let columns = "image (Binary), label (Int64), text (Utf8), score (Float32), wide (List(Int64))";
    assert_eq!(
        refusal(&workshop, &request("img", "label")).await,
        format!("it has no column \"img\"; its columns are {columns}")
    );
    assert_eq!(
        refusal(&workshop, &request("image", "class")).await,
        format!("it has no column \"class\"; its columns are {columns}")
    );
    let types = "images are raw pixels in a column of type binary, large_binary, fixed_size_binary, or a list of uint8";
    assert_eq!(
        refusal(&workshop, &request("text", "label")).await,
        format!("column \"text\" is Utf8; {types}")
    );
    assert_eq!(
        refusal(&workshop, &request("wide", "label")).await,
        format!("column \"wide\" is List(Int64); {types}")
    );
    assert_eq!(
        refusal(&workshop, &request("label", "label")).await,
        format!("column \"label\" is Int64; {types}")
    );
    assert_eq!(
        refusal(&workshop, &request("image", "score")).await,
        "column \"score\" is Float32; labels are integers from 0 to 65535"
    );
}

#[tokio::test]
async fn a_null_is_refused_with_its_row() {
    let workshop = Workshop::open().await;
    let holes = BinaryArray::from_iter((0..300).map(|row| (row != 213).then(|| pixels(row, 16))));
    let request = workshop.file(Arc::new(holes), labels(300));
    assert_eq!(refusal(&workshop, &request).await, "row 213: the image is null");

    let holes = Int64Array::from_iter((0..300).map(|row| (row != 150).then_some(row % 2)));
    let request = workshop.file(binary(&images(300, 16)), Arc::new(holes));
    assert_eq!(refusal(&workshop, &request).await, "row 150: the label is null");

    let mut list = ListBuilder::new(UInt8Builder::new());
    for row in 0..40 {
        list.append_value((0..16).map(|place| (row != 17 || place != 5).then_some(place)));
    }
    let request = workshop.file(Arc::new(list.finish()), labels(40));
    assert_eq!(refusal(&workshop, &request).await, "row 17: the image has null pixels");

    let request = workshop.file(nulls(&DataType::FixedSizeBinary(16), 40), labels(40));
    assert_eq!(refusal(&workshop, &request).await, "row 0: the image is null");
}

#[tokio::test]
async fn images_of_wrong_sizes_are_refused_with_their_row() {
    let workshop = Workshop::open().await;
    let ragged: Vec<Vec<u8>> = (0..300).map(|row| pixels(row, if row < 250 { 16 } else { 25 })).collect();
    let request = workshop.file(binary(&ragged), labels(300));
    assert_eq!(
        refusal(&workshop, &request).await,
        "row 250: the image has 25 bytes, and those before it have 16; all must be equal"
    );
    let given = ImportRequest { shape: ImageShape::new(4, 4, 1).ok(), ..request };
    assert_eq!(
        refusal(&workshop, &given).await,
        "shape 4x4x1 needs 16 bytes for an image, and row 250 has 25"
    );

    let request = workshop.file(binary(&images(40, 20)), labels(40));
    assert_eq!(
        refusal(&workshop, &request).await,
        "images of 20 bytes are neither square grey nor square RGB; give their shape as HEIGHTxWIDTHxCHANNELS"
    );
    let impossible = ImageShape { height: 5, width: 0, channels: 4 };
    let impossible = ImportRequest { shape: Some(impossible), ..request.clone() };
    assert_eq!(
        refusal(&workshop, &impossible).await,
        "5x0x4 is not a possible shape: sides go from 1 to 4096, channels from 1 to 16"
    );
    let mismatch = ImportRequest { shape: ImageShape::new(5, 5, 1).ok(), ..request };
    assert_eq!(
        refusal(&workshop, &mismatch).await,
        "shape 5x5x1 needs 25 bytes for an image, and row 0 has 20"
    );

    let request = workshop.file(binary(&vec![Vec::new(); 40]), labels(40));
    assert_eq!(refusal(&workshop, &request).await, "row 0: the image is empty");
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 92]].concat();
    let request = workshop.file(binary(&vec![png; 40]), labels(40));
    assert_eq!(
        refusal(&workshop, &request).await,
        "row 0: the image is a PNG file; decode it, columns hold raw pixels"
    );
}

#[tokio::test]
async fn labels_out_of_range_are_refused_with_their_row() {
    let workshop = Workshop::open().await;
    let negative = integers((0..40).map(|row| if row == 33 { -1 } else { row % 2 }));
    let request = workshop.file(binary(&images(40, 16)), negative);
    assert_eq!(refusal(&workshop, &request).await, "row 33: label -1 is not between 0 and 65535");
    let huge = UInt64Array::from_iter_values((0..40).map(|row| if row == 2 { u64::MAX } else { row % 2 }));
    let request = workshop.file(binary(&images(40, 16)), Arc::new(huge));
    assert_eq!(
        refusal(&workshop, &request).await,
        "row 2: label 18446744073709551615 is not between 0 and 65535"
    );
}

#[tokio::test]
async fn too_few_rows_or_classes_are_refused() {
    let workshop = Workshop::open().await;
    let request = workshop.file(Arc::new(BinaryArray::from_iter_values(Vec::<Vec<u8>>::new())), labels(0));
    assert_eq!(refusal(&workshop, &request).await, "it has no rows");
    let request = workshop.file(binary(&images(40, 16)), integers([3; 40]));
    assert_eq!(refusal(&workshop, &request).await, "all 40 rows have label 3; at least 2 classes are needed");
    let request = workshop.file(binary(&images(3, 16)), labels(3));
    assert_eq!(
        refusal(&workshop, &request).await,
        "3 rows in 2 classes are too few: split 70/15/15 within each class they give 2 to train, 1 held out and 0 to \
         test, and none may be empty"
    );
}
