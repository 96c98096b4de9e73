-- Images that are registered before their bytes come: where these are, where they would come from, when last read.

-- What tells whose image it is lies sealed under the image's identity secret.
create table sources (
    id uuid primary key,
    sealed bytea not null
);

alter table images add column locality text not null default 'ONLINE'
    check (locality in ('ONLINE', 'NEARLINE', 'ONLINE_AND_NEARLINE', 'UNAVAILABLE', 'LOST'));
alter table images add column source uuid references sources;
create unique index images_source on images (source) where source is not null;
alter table images add check (source is not null or locality in ('ONLINE', 'LOST'));
-- Written with in_use_until, and never by itself.
alter table images add column last_used timestamptz not null default now();

-- An image's pins. The image of a grant to read never changes.
create index grants_image on grants (image) where operation = 'get';
