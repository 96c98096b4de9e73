-- The size that prepareToPut announced, sealed under the upload's own key: an original's exact size identifies it.
-- `expected_size` is what nodes of earlier versions write.
alter table grants add column announced bytea;
