-- Whether anything is still wrapped under a key that a server was not given is asked at each of its starts.
create index image_secrets_epoch on mdm_keys.image_secrets (epoch);
