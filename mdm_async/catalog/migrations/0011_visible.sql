-- What a caller may see is found by the ACLs that name one of his principals, and by walking through directories.

create index acls_principals on acls using gin (rules jsonb_path_ops);

-- Asked for by this expression, directories are never looked for among files.
drop index entries_directories;
create index entries_directories on entries ((case when is_directory then parent end)) where is_directory;
