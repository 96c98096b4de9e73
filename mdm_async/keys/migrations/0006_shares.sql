-- In the catalog's database: the databases that each hold a share of every secret, and how many it takes.
create table mdm_keys.sharing (
    singleton boolean primary key default true check (singleton),
    threshold smallint not null check (threshold >= 2),
    -- Until a server has begun with them, settings that were refused bind nobody.
    begun boolean not null default false
);
create table mdm_keys.stores (
    name text primary key,
    share smallint not null unique check (share between 1 and 255),
    id uuid not null unique default gen_random_uuid()
);

-- Keys that are split like an image's secrets; the row that names their registration is the commit point.
create table mdm_keys.shared_project_keys (
    project text primary key,
    registration uuid not null
);
-- Under these are the secrets of transfers and macaroons that the catalog keeps. `made`: in seconds, by which they are
-- known.
create table mdm_keys.transfer_keys (
    made bigint primary key,
    registration uuid not null
);

-- In each store: registrations that were destroyed, so that no share of them is ever made good.
create table mdm_keys.forgotten (
    registration uuid primary key
);

alter table mdm_keys.image_secrets drop constraint image_secrets_kind_check;
alter table mdm_keys.image_secrets add constraint image_secrets_kind_check
    check (kind in ('image', 'identity', 'project', 'transfer')) not valid;
