//! Sealing and opening, with the right keys and with wrong ones.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::clock::Clock;
use crate::database::fixture::temporary;

fn master(byte: u8) -> MasterKey {
    use base64::Engine as _;
    MasterKey::from_base64(&base64::engine::general_purpose::STANDARD.encode([byte; KEY_LEN])).unwrap()
}

#[tokio::test]
async fn a_secret_opens_for_its_own_row_only_and_after_a_restart() {
    let test = temporary().await;
    let secrets = Secrets::open(&test.database, &Clock::system(), master(1), vec![]).await.unwrap();
    let envelope = secrets.seal("prv_1", "sk-upstream").unwrap();
    let again = Secrets::open(&test.database, &Clock::system(), master(1), vec![]).await.unwrap();
    let open = |owner| again.open_sealed(owner, &envelope.sealed, &envelope.wrapped_key, &envelope.key_id);
    assert_eq!(*open("prv_1").unwrap(), "sk-upstream");
    assert!(open("prv_2").is_err());
    assert_eq!(again.verifying_key(), secrets.verifying_key());
    assert_eq!(again.digest("sk-upstream"), envelope.digest);
    assert_ne!(again.digest("sk-other"), envelope.digest);
}

#[tokio::test]
async fn the_pool_opens_what_was_sealed_to_it_with_its_token() {
    let test = temporary().await;
    let secrets = Secrets::open(&test.database, &Clock::system(), master(1), vec![]).await.unwrap();
    let pool_key = secrets.pool_key_for("mlx_wk_token").unwrap();
    let wrapping = policy::seal::derive_pool_wrapping_key("mlx_wk_token");
    let pool: [u8; KEY_LEN] = policy::seal::open(&wrapping, b"", &pool_key).unwrap().try_into().unwrap();
    let sealed = secrets.seal_to_pool("prv_1", "sk-upstream").unwrap();
    assert_eq!(policy::seal::open(&pool, b"prv_1", &sealed.0).unwrap(), b"sk-upstream");
}

#[tokio::test]
async fn after_a_rotation_the_old_master_key_is_no_longer_needed() {
    let test = temporary().await;
    let before = Secrets::open(&test.database, &Clock::system(), master(1), vec![]).await.unwrap();
    let both = Secrets::open(&test.database, &Clock::system(), master(2), vec![master(1)]).await.unwrap();
    let transaction = test.database.begin().await.unwrap();
    assert_eq!(both.rewrap_all(&transaction).await.unwrap(), 2);
    transaction.commit().await.unwrap();
    let after = Secrets::open(&test.database, &Clock::system(), master(2), vec![]).await.unwrap();
    assert_eq!(after.verifying_key(), before.verifying_key());
    let error = Secrets::open(&test.database, &Clock::system(), master(3), vec![]).await.unwrap_err();
    assert!(matches!(error, SecretsError::UnknownMasterKey { .. }));
}

#[test]
fn a_master_key_file_is_made_once_and_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let first = MasterKey::load_or_create(&path).unwrap();
    let second = MasterKey::load_or_create(&path).unwrap();
    assert_eq!(first.id(), second.id());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    std::fs::write(&path, "too short").unwrap();
    assert!(matches!(MasterKey::load_or_create(&path), Err(MasterKeyError::MalformedFile { .. })));
}

#[test]
fn new_secrets_are_long_plain_and_never_the_same() {
    let secret = new_secret("mlx_sk_");
    let tail = secret.strip_prefix("mlx_sk_").unwrap();
    assert_eq!(tail.len(), 43);
    assert!(tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(secret, new_secret("mlx_sk_"));
    assert_eq!(hash_key("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
