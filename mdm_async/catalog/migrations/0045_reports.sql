-- Reports of storage commitment that devices wait for. `asked`: what for, sealed; `called`: to the device's own port,
-- otherwise in an association of the device's.
create table reports_to_send (
    id bigint generated always as identity primary key,
    ae text not null,
    source text not null,
    called boolean not null,
    asked bytea not null,
    since timestamptz not null default now(),
    due timestamptz not null,
    attempts integer not null default 0,
    failure text,
    taken_by text
);
alter table reports_to_send alter column asked set storage external;
create index reports_to_send_due on reports_to_send (due) where called;
create index reports_to_send_of_ae on reports_to_send (ae, id);
create index reports_to_send_since on reports_to_send (since);
