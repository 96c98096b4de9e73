-- The catalog: namespace, images and their parts and views, transfers, local tokens, audit.

create table installation (
    only_row boolean primary key default true check (only_row),
    id uuid not null default gen_random_uuid(),
    -- Counts every change of an ACL, token or group; nodes re-check their live grants when it moves.
    acl_epoch bigint not null default 1
);
insert into installation default values;

-- Ciphertext in the blob store. A row comes before its file and goes after it.
create table blobs (
    id uuid primary key,
    state text not null check (state in ('writing', 'stored', 'doomed')),
    lease timestamptz,
    check ((state = 'writing') = (lease is not null))
);
create index blobs_unsettled on blobs (state) where state <> 'stored';

create table images (
    id uuid primary key,
    registration uuid not null,
    created timestamptz not null default now(),
    doomed timestamptz,
    in_use_until timestamptz not null default '-infinity'
);
create index images_doomed on images (doomed) where doomed is not null;

-- Plain sizes and checksums are not here: they stand in the encrypted records of views.
create table parts (
    id uuid primary key,
    image uuid not null references images on delete cascade,
    kind text not null check (kind in ('original', 'head', 'pixels', 'tail')),
    variant text not null default 'original',
    secret text not null check (secret in ('image', 'identity')),
    format smallint not null,
    salt bytea not null check (octet_length(salt) = 32),
    cipher_size bigint not null,
    cipher_adler bigint not null,
    inline bytea,
    blob uuid unique references blobs,
    check ((inline is null) <> (blob is null))
);
alter table parts alter column inline set storage external;
create index parts_of_image on parts (image);

create table views (
    image uuid not null references images on delete cascade,
    name text not null,
    version text not null,
    state text not null check (state in ('ready', 'refused')),
    reason text,
    secret text not null check (secret in ('image', 'identity')),
    record bytea,
    made timestamptz not null default now(),
    primary key (image, name, version),
    check ((state = 'ready') = (record is not null)),
    check ((state = 'refused') = (reason is not null))
);

create table acls (
    id bigint generated always as identity primary key,
    rules jsonb not null,
    digest bytea not null unique
);

create table entries (
    id bigint generated always as identity primary key,
    guid uuid not null unique default gen_random_uuid(),
    parent bigint references entries,
    name text collate "C" not null,
    image uuid references images,
    is_directory boolean not null,
    -- Null: inherited from the nearest ancestor that has one.
    acl bigint references acls,
    default_view text,
    created timestamptz not null default now(),
    modified timestamptz not null default now(),
    unique nulls not distinct (parent, name),
    check (is_directory = (image is null))
);
create index entries_of_image on entries (image) where image is not null;

insert into acls (rules, digest) values ('[]', sha256('[]'));
insert into entries (parent, name, is_directory, acl, default_view)
    values (null, '', true, (select id from acls), 'basic');

create table tokens (
    id bigint generated always as identity primary key,
    hash bytea not null unique,
    name text not null,
    rights text not null,
    path text not null,
    views text[],
    created timestamptz not null default now(),
    expires timestamptz,
    revoked timestamptz
);
create unique index tokens_live_name on tokens (name) where revoked is null;

-- One row is request item, pin and transfer URL. Partitioned by day: old days are dropped, not deleted.
-- No index is on a column that changes.
create table grants (
    day date not null,
    turl bytea not null,
    request uuid not null,
    item integer not null,
    operation text not null check (operation in ('get', 'put', 'bring_online')),
    state text not null check (
        state in ('pinned', 'open', 'uploaded', 'done', 'released', 'aborted', 'failed')
    ),
    caller text not null,
    token bigint,
    description text,
    surl text not null,
    failure text,
    explanation text,
    entry bigint,
    image uuid,
    view text,
    version text,
    recipient bytea,
    secret bytea,
    context bytea,
    parent bigint,
    name text,
    replaces uuid,
    expected_size bigint,
    sealed boolean not null default false,
    created timestamptz not null default now(),
    expires timestamptz not null
) partition by range (day);
create index grants_turl on grants (turl);
create index grants_request on grants (request);
create index grants_entry on grants (entry);
create index grants_caller on grants (caller);

create table audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    caller text not null,
    act text not null,
    outcome text not null,
    guid uuid,
    view text,
    details jsonb not null default '{}'
);
create index audit_at on audit (at);
