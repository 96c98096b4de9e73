-- When a key-encryption key came, and when it went. `closed`: nothing is wrapped under it, nor can be.
-- `destroyed`: and no node has it any more.
alter table mdm_keys.kek_proofs
    add column made timestamptz not null default now(),
    add column closed timestamptz,
    add column destroyed timestamptz,
    add column transfers_until timestamptz not null default '-infinity';
-- Until then the catalog may have secrets of transfers that were wrapped under it directly, as by earlier versions.
update mdm_keys.kek_proofs set transfers_until = 'infinity';

-- Which of them each node has been given, and under which it wraps. `keeps`: in a file of its own, from which it destroys
-- them itself; until it has, such a key is not destroyed, however long the node is away.
create table mdm_keys.nodes (
    node text primary key,
    keeps boolean not null,
    has integer[] not null,
    in_use integer not null,
    seen timestamptz not null default now()
);

-- How far wrapping anew under a key is. `damaged`: rows that do not open, and stay as they are.
-- One node at a time does it, and has it until `lease`.
create table mdm_keys.rotations (
    epoch integer primary key,
    began timestamptz not null default now(),
    ended timestamptz,
    total bigint,
    done bigint not null default 0,
    damaged bigint not null default 0,
    node text,
    lease timestamptz
);

-- What is left under a key is found in pages, and what was wrapped anew is not met again.
create index image_secrets_under on mdm_keys.image_secrets (epoch, registration, kind);
drop index mdm_keys.image_secrets_epoch;
