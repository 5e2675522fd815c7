-- How many offsets each partition of the journal has: chosen when the database is made (`perps serve --partition-rows`),
-- and the same ever after. A database of before has partitions of 1,000,000, and so has one where nobody chooses.

create table journal_layout (
    is_only        boolean primary key default true check (is_only),
    partition_rows bigint  not null check (partition_rows > 0)
);
insert into journal_layout (partition_rows) values (1000000);
