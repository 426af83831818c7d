use serde::{Serialize,Deserialize};
#[derive(Debug,Clone,Copy,PartialEq,Eq,Hash,Serialize,Deserialize)]
pub struct ImageShape{pub height:u32,pub width:u32,pub channels:u32}
#[derive(Debug,Clone)]
pub struct ImageBatch{pub shape:ImageShape,pub classes:u32,pub pixels:Vec<u8>,pub labels:Vec<u32>}
