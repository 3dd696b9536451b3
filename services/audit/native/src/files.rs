//! Tiles and bundles on their way to the disk.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Write files (path in `folder`, content), each in one step: a reader finds all of it or none.
#[pyfunction]
pub fn write(py: Python<'_>, folder: PathBuf, files: Vec<(String, PyBackedBytes)>) -> io::Result<()> {
    py.detach(|| files.iter().try_for_each(|(path, content)| put(&folder.join(path), content)))
}

fn put(target: &Path, content: &[u8]) -> io::Result<()> {
    let mut made = target.as_os_str().to_owned();
    made.push(".new");
    let mut file = match File::create(&made) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(target.parent().unwrap_or(Path::new("")))?;
            File::create(&made)?
        }
        opened => opened?,
    };
    file.write_all(content)?;
    fs::rename(made, target)
}

/// Wait until the disk has all of `paths`, with so many threads; what is not there any more is passed over.
#[pyfunction]
pub fn sync(py: Python<'_>, paths: Vec<PathBuf>, threads: usize) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<()> {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            match File::open(path) {
                Ok(file) => file.sync_all()?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    py.detach(|| {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.min(paths.len())).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("syncing does not panic"))
        })
    })
}
