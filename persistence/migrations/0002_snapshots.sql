-- Snapshots of the whole shard, beside the journal they follow from: a backup of the database takes both.

create table snapshots (
    shard    int         not null,
    "offset" bigint      not null,
    taken_at timestamptz not null default now(),
    size     bigint      not null,
    primary key (shard, "offset")
);

create table snapshot_parts (
    shard    int    not null,
    "offset" bigint not null,
    n        int    not null,
    body     bytea  not null,
    primary key (shard, "offset", n),
    foreign key (shard, "offset") references snapshots on delete cascade
);
alter table snapshot_parts alter column body set storage external;  -- compressed already
