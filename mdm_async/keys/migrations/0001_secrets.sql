-- Secrets, wrapped under the key-encryption key (AES-GCM-SIV). Nothing here opens without that key,
-- which never enters the database. A registration is committed by the catalog row that names it.
create schema mdm_keys;

create table mdm_keys.image_secrets (
    registration uuid not null,
    kind text not null check (kind in ('image', 'identity')),
    image uuid not null,
    epoch integer not null,
    wrapped bytea not null,
    primary key (registration, kind)
);

create table mdm_keys.project_keys (
    project text primary key,
    epoch integer not null,
    wrapped bytea not null
);

-- A constant wrapped under each KEK: a server that starts with another key is refused, not left to fail later.
create table mdm_keys.kek_proofs (
    epoch integer primary key,
    wrapped bytea not null
);
