-- Which registered images are of one study or series, by keyed digests of their UIDs: without the key they tell of nobody.
alter table sources add column study bytea, add column series bytea, add column instance bytea;
create index sources_of_study on sources (pacs, study);
create index sources_of_series on sources (pacs, series);

-- Images of one series are brought together, unless one of them did not come so: then it is asked for alone.
alter table images_to_stage add column series bytea, add column alone boolean not null default false;
create index images_to_stage_together on images_to_stage (pacs, series) where not alone;
