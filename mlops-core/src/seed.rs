//! All randomness comes from one root: each use derives its own seed from a name.

/// The first eight bytes, little-endian, of the SHA-256 of `root/name`.
pub(crate) fn derive(root: u64, name: &str) -> u64 {
    let digest = crate::Digest::of(format!("{root}/{name}"));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
