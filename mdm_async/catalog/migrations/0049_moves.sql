-- Directories that are about to be moved: what would get a name below them waits until then.
create table moves (
    directory bigint primary key,
    until timestamptz not null
);
