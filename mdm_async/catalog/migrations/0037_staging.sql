-- Which of the site's archives an image would come from, by its name in the settings, and images that are to be brought
-- from there. Everything else that a source says stays sealed.
alter table sources add column pacs text not null default '';
-- When the credential ends by which a file is waited for (Unix time, seconds).
alter table grants add column until double precision;

create table images_to_stage (
    image uuid primary key,
    pacs text not null,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index images_to_stage_of_pacs on images_to_stage (pacs, due);
create index images_to_stage_due on images_to_stage (due);

-- Who waits for an image without a transfer URL. The image of a grant never changes.
create index grants_staged on grants (image) where operation = 'bring_online' and image is not null;
