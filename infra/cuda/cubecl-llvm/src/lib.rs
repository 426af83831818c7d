//! The types through which `cubecl-cuda` 0.11.3 speaks to `cubecl-llvm`, and nothing behind them.
//!
//! `cubecl-cuda` has two code generators: LLVM, which its build script downloads, and CUDA C++, which the
//! driver's NVRTC compiles at run time. It links the first even where its feature `cpp` chooses the second.
//! With this crate in its place the first cannot be chosen: it answers with an error.

use cubecl_core::{ir::nvidia::SmArch, prelude::KernelDefinition};
use cubecl_server::{compiler::CompilationError, kernel::BufferIOAttr};

/// NVIDIA's intermediate code.
pub mod nvptx {
    /// Versions of PTX.
    pub mod ptx_version {
        use std::fmt;

        /// A version of PTX.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(u32);

        impl PtxVersion {
            /// The version that a driver understands: none is known here.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "ptx{}", self.0)
            }
        }
    }
}

/// What several code generators share.
pub mod shared {
    /// Features that a target lacks.
    pub mod lowered_features {
        /// A target of code generation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA.
            Nvptx,
        }

        /// Takes from the device's properties what the LLVM path cannot generate: nothing, without that path.
        pub fn restrict_features(_: &mut cubecl_core::ir::DeviceProperties, _: GpuTarget) {}
    }
}

/// A target of the compiler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA GPUs.
    Nvptx,
}

/// The compiler that is not here.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// Its target.
    pub target: LlvmTarget,
}

/// Its options.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Unused.
    pub arch: Option<()>,
    /// The GPU's architecture.
    pub sm_arch: Option<SmArch>,
    /// The version of PTX.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether kernels take constants by grid.
    pub grid_constants: bool,
    #[doc(hidden)]
    pub _other: (),
}

/// A compiled kernel.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// Its code.
    pub ptx: Vec<core::ffi::c_char>,
    /// Where it starts.
    pub entrypoint: String,
    /// Its source.
    pub ir: String,
    /// Bytes of shared memory.
    pub shared_memory_size: usize,
    /// Its buffers.
    pub io: Vec<BufferIOAttr>,
}

/// What a compilation gives.
#[derive(Clone)]
pub enum PlironArtifact {
    /// Code for NVIDIA.
    NvptxCode(NvptxModule),
    /// Code for something else.
    Other,
}

impl PlironCompiler {
    /// Does not compile.
    ///
    /// # Panics
    /// Always: the build chose no code generator that works.
    pub fn compile(
        &mut self,
        _: KernelDefinition,
        _: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        panic!("built without LLVM: cubecl-cuda needs its feature cpp")
    }

    /// The language of the code.
    pub fn lang_tag(&self) -> &'static str {
        "ptx"
    }
}
