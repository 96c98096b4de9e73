-- Whether a directory takes files that are not DICOM, and those below it; null: as above it.
alter table entries add column opaque boolean;

-- Of an opaque file what it is charged with; null: the image is DICOM.
alter table images add column opaque_bytes bigint;

-- What opaque files are charged with by who brought them; '' is all of them together.
create table opaque_used (
    account text primary key,
    bytes bigint not null
);
