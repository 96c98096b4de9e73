-- Which of an installation's key stores this database is; bound into all that is wrapped in it.
-- Share 0: it holds whole secrets. Otherwise it holds the share of that index of every secret.
create table mdm_keys.store (
    singleton boolean primary key default true check (singleton),
    id uuid not null,
    share smallint not null check (share between 0 and 255),
    installation uuid not null
);

-- How a row was wrapped: in format 1 it was not bound to its store.
alter table mdm_keys.image_secrets add column format smallint not null default 1;
alter table mdm_keys.project_keys add column format smallint not null default 1;
