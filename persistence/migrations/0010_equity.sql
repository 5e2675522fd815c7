-- What each user had, once an hour: for the history of a user's equity, and for the leaderboard.
--
-- These are observations and not journaled, as no row says at which price a position stood on the hour. The venue writes them
-- beside its work, for users of whom something has changed since. A round has one "at"; its record without a user says that
-- there was one. After eight days the last of each day stays.

create table equity (
    shard   int     not null,
    user_id text    not null,  -- empty: of the round itself
    at      bigint  not null,
    equity  bigint  not null,
    paid_in bigint  not null,
    pnl     numeric not null,  -- sums without bound
    volume  numeric not null,
    primary key (shard, user_id, at)
);
