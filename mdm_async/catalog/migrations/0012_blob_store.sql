-- Blobs lie in one store; its id stands in a file of the store's too, and both are compared at start.

alter table installation add column blob_store uuid;
