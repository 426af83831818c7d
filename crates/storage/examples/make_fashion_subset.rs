//! Makes `pipelines/datasets/fashion.parquet`: 1,000 images of each class, drawn by a fixed seed from the
//! 70,000 of Fashion-MNIST in the form in which Debian's package `dataset-fashion-mnist` has them.
//!
//! `cargo run -p tale-storage --example make_fashion_subset -- /usr/share/datasets/fashion-mnist OUT.parquet`

use std::{
    error::Error,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{FixedSizeBinaryArray, RecordBatch, UInt8Array},
    datatypes::{DataType, Field, Schema},
};
use flate2::read::GzDecoder;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
};
use rand::seq::SliceRandom;
use tale_primitives::{Digest, Seed};

const IMAGE_BYTES: usize = 28 * 28;
const IMAGES_OF_A_CLASS: usize = 1000;
const SEED: u64 = 20_170_825;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [originals, output] = &arguments[..] else {
        return Err("expected the directory of the originals and the file to write".into());
    };
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for part in ["train", "t10k"] {
        pixels.extend(read_idx(originals, &format!("{part}-images-idx3-ubyte.gz"), 16)?);
        labels.extend(read_idx(originals, &format!("{part}-labels-idx1-ubyte.gz"), 8)?);
    }
    if pixels.len() != labels.len() * IMAGE_BYTES {
        return Err("the originals hold different numbers of images and labels".into());
    }

    let seed = Seed::new(SEED).child("fashion");
    let mut chosen = Vec::new();
    for class in 0..10u8 {
        let mut rows: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] == class).collect();
        rows.shuffle(&mut seed.child(&class.to_string()).rng());
        chosen.extend(rows.into_iter().take(IMAGES_OF_A_CLASS));
    }
    chosen.shuffle(&mut seed.child("order").rng());
    write(output, &pixels, &labels, &chosen)?;

    let bytes = std::fs::read(output)?;
    println!(
        "{}: {} images, {} bytes, sha256 {}",
        output.display(),
        chosen.len(),
        bytes.len(),
        Digest::of(&bytes)
    );
    Ok(())
}

/// The bytes of an IDX file after its header.
fn read_idx(directory: &Path, name: &str, header_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(directory.join(name))?).read_to_end(&mut bytes)?;
    Ok(bytes.split_off(header_bytes.min(bytes.len())))
}

fn write(output: &Path, pixels: &[u8], labels: &[u8], rows: &[usize]) -> Result<(), Box<dyn Error>> {
    let image = |row: &usize| &pixels[row * IMAGE_BYTES..(row + 1) * IMAGE_BYTES];
    let images = FixedSizeBinaryArray::try_from_iter(rows.iter().map(image))?;
    let labels = UInt8Array::from_iter_values(rows.iter().map(|row| labels[*row]));
    let schema = Arc::new(Schema::new(vec![
        Field::new("image", DataType::FixedSizeBinary(IMAGE_BYTES as i32), false),
        Field::new("label", DataType::UInt8, false),
    ]));
    let properties = WriterProperties::builder()
        .set_created_by("taleworks make_fashion_subset".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(22)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        // Long pages compress better, and nobody reads a part of this file.
        .set_data_page_size_limit(16 << 20)
        .build();
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(images), Arc::new(labels)])?;
    let mut writer = ArrowWriter::try_new(File::create(output)?, schema, Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}
