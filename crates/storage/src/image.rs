//! Images of one shape, each with a class.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shape that all images of a data set share, in pixels and bytes per pixel; written `HxWxC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Bytes for a pixel: 1 is grey, 3 is RGB.
    pub channels: u32,
}

/// A text or a triple that is not an image's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageShapeError {
    /// Not three whole numbers joined by `x`.
    #[error("{0:?} is not a shape: expected HEIGHTxWIDTHxCHANNELS, such as 28x28x1")]
    NotAShape(String),
    /// A side, the channels or the whole is nothing or beyond what is supported.
    #[error(
        "{0} is not a possible shape: sides go from 1 to {side}, channels from 1 to {channels}",
        side = ImageShape::SIDE_MAX, channels = ImageShape::CHANNELS_MAX
    )]
    Impossible(ImageShape),
}

impl ImageShape {
    /// The most pixels in a row or rows in an image.
    pub const SIDE_MAX: u32 = 4096;

    /// The most bytes for a pixel.
    pub const CHANNELS_MAX: u32 = 16;

    /// A shape within the limits.
    pub fn new(height: u32, width: u32, channels: u32) -> Result<Self, ImageShapeError> {
        let shape = Self { height, width, channels };
        let sides_fit = [height, width].iter().all(|side| (1..=Self::SIDE_MAX).contains(side));
        if sides_fit && (1..=Self::CHANNELS_MAX).contains(&channels) {
            Ok(shape)
        } else {
            Err(ImageShapeError::Impossible(shape))
        }
    }

    /// How many bytes one image has.
    pub fn image_bytes(&self) -> usize {
        self.height as usize * self.width as usize * self.channels as usize
    }

    /// The square shape of an image of `bytes` bytes: grey when that is a square number, else RGB when it
    /// is three times one.
    ///
    /// The two never meet, since 3 is no square; but four channels (RGBA) of side *s* look like grey of
    /// side *2s*, so such sets must be given their shape.
    pub fn infer(bytes: usize) -> Option<Self> {
        let square = |pixels: usize| {
            let side = pixels.isqrt();
            (side * side == pixels).then_some(side).and_then(|side| u32::try_from(side).ok())
        };
        let grey = square(bytes).and_then(|side| Self::new(side, side, 1).ok());
        let colour = || {
            let pixels = bytes.is_multiple_of(3).then_some(bytes / 3)?;
            square(pixels).and_then(|side| Self::new(side, side, 3).ok())
        };
        grey.or_else(colour)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}x{}", self.height, self.width, self.channels))
    }
}

impl FromStr for ImageShape {
    type Err = ImageShapeError;

    fn from_str(text: &str) -> Result<Self, ImageShapeError> {
        let not_a_shape = || ImageShapeError::NotAShape(text.chars().take(100).collect());
        let numbers: Vec<u32> =
            text.split('x').map(str::parse).collect::<Result<_, _>>().map_err(|_| not_a_shape())?;
        match numbers[..] {
            [height, width, channels] => Self::new(height, width, channels),
            _ => Err(not_a_shape()),
        }
    }
}

/// Rows of a split, decoded: one contiguous block of pixels and one label for each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBatch {
    /// The shape of every image.
    pub shape: ImageShape,
    /// How many classes the data set has; every label is below this.
    pub classes: u32,
    /// `rows × height × width × channels` bytes: image by image, row by row, pixel by pixel.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u32>,
}

impl ImageBatch {
    /// How many images there are.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The bytes of the image at `row`, or nothing past the end.
    pub fn image(&self, row: usize) -> Option<&[u8]> {
        let bytes = self.shape.image_bytes();
        self.pixels.get(row.checked_mul(bytes)?..row.checked_add(1)?.checked_mul(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_size_is_grey_and_three_times_a_square_is_colour() {
        assert_eq!(ImageShape::infer(784), ImageShape::new(28, 28, 1).ok());
        assert_eq!(ImageShape::infer(768), ImageShape::new(16, 16, 3).ok());
        assert_eq!(ImageShape::infer(3), ImageShape::new(1, 1, 3).ok());
        assert_eq!(ImageShape::infer(1), ImageShape::new(1, 1, 1).ok());
        for impossible in [0, 2, 785, usize::MAX, 4097 * 4097] {
            assert_eq!(ImageShape::infer(impossible), None, "{impossible}");
        }
    }

    #[test]
    fn a_shape_survives_its_written_form_and_nonsense_is_refused() {
        let shape: ImageShape = "28x30x3".parse().expect("a shape");
        assert_eq!((shape.height, shape.width, shape.channels), (28, 30, 3));
        assert_eq!(shape.to_string(), "28x30x3");
        for text in ["", "28", "28x28", "28x28x1x1", "axbxc", "-1x2x3", "28 x28x1"] {
            assert!(matches!(text.parse::<ImageShape>(), Err(ImageShapeError::NotAShape(_))), "{text:?}");
        }
        for text in ["0x28x1", "28x0x1", "28x28x0", "5000x1x1", "1x1x17"] {
            assert!(matches!(text.parse::<ImageShape>(), Err(ImageShapeError::Impossible(_))), "{text:?}");
        }
    }
}
