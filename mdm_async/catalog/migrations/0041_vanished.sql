-- What an archive had when it was registered, and lists no more. `at`: when it last listed a study, or was asked for it.
alter table sources add column vanished timestamptz;
create index sources_of_instance on sources (pacs, instance);
drop index sources_of_study;
create index sources_of_study on sources (pacs, study, id);
create table studies_listed (
    pacs text not null,
    study bytea not null,
    at timestamptz not null default now(),
    primary key (pacs, study)
);
create index studies_listed_at on studies_listed (pacs, at);
