-- Callers take turns at an archive: the nth image that one of them waits for comes after the n-1th of each other's.
alter table images_to_stage add column caller text not null default '', add column turn bigint not null default 0;
create index images_to_stage_turns on images_to_stage (pacs, turn, due) where taken_by is null;
create index images_to_stage_taken on images_to_stage (pacs, due) where taken_by is not null;
create index images_to_stage_of_caller on images_to_stage (pacs, caller, turn);
