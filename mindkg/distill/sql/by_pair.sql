CREATE INDEX by_pair ON generations (cobuy_id, generation_id);
