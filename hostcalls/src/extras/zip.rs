//! What `extras://zip` makes: archives in the format of PKWARE's APPNOTE, deflated, on demand with AES-256.

use std::io::{Cursor, Write};

use script::fault::Fault;
use script::native::{Call, Native};
use script::value::{Array, Str, Value};
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{AesMode, CompressionMethod, ZipWriter};

/// Compresses, and stretches the password for each file: on the pool.
pub(super) const ZIP: Native = Native::sized(
    "__zip",
    "array files [, string password]",
    (1, Some(2)),
    "What extras://zip runs.",
    0,
    zip,
);

fn zip(call: &mut Call<'_>) -> Result<Value, Fault> {
    let files = call.array(0)?.clone();
    let password = call.opt_str(1)?.map(|password| password.to_string_lossy().into_owned());
    let archive = archive(&files, password.as_deref()).map_err(|error| call.error(error))?;
    call.charge(archive.len())?;
    Ok(archive.into())
}

fn archive(files: &Array, password: Option<&str>) -> ZipResult<Vec<u8>> {
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (_, file) in files.iter() {
        let text = |index| {
            file.as_array().and_then(|file| file.get_index(index)).and_then(|value| value.as_str().cloned())
        };
        let (name, data): (Str, Str) = (text(0).unwrap_or_default(), text(1).unwrap_or_default());
        let options = match password {
            Some(password) => plain.with_aes_encryption(AesMode::Aes256, password),
            None => plain,
        };
        writer.start_file(name.to_string_lossy(), options)?;
        writer.write_all(data.as_bytes())?;
    }
    Ok(writer.finish()?.into_inner())
}
