-- An open is one record beside its journal row: its legs and its position follow from its fill.
--
-- A fill gets what they follow from: the money it moved and what each account held afterwards (perps/folding.py). Legs that
-- are no trade's, or not those of the pattern, stay in `legs`. A position gets its record in `positions` when it first
-- changes after its open.
--
-- No record is rewritten: the new columns are null in all that there are, and those have their legs in `legs` and their
-- position in `positions`. So every reader takes both: trade_legs has the legs that follow from fills, beside those in
-- `legs`; all_positions has every position, whatever it follows from.

set local statement_timeout = 0;

alter table fills
    add column leg               int,
    add column leverage          int,
    add column cash              bigint,
    add column margin            bigint,
    add column covered           bigint,
    add column wallet_balance    bigint,
    add column margin_balance    bigint,
    add column house_balance     bigint,
    add column insurance_balance bigint,
    add column fees_balance      bigint,
    add column referrer          text,
    add column referrer_balance  bigint;

alter type fills_record
    add attribute leg               int,
    add attribute leverage          int,
    add attribute cash              bigint,
    add attribute margin            bigint,
    add attribute covered           bigint,
    add attribute wallet_balance    bigint,
    add attribute margin_balance    bigint,
    add attribute house_balance     bigint,
    add attribute insurance_balance bigint,
    add attribute fees_balance      bigint,
    add attribute referrer          text,
    add attribute referrer_balance  bigint;

create index fills_of_referrer on fills (referrer, "offset", n) where referrer is not null;       -- what they brought in

-- The legs that follow from fills. `user_id` and `referrer` are those of the fill: the wallets that its legs touch, and the
-- indexes by which they are found. A balance after a leg is the account's in the end, without what the later legs did.

create view trade_legs as
select fill.shard, fill."offset", leg.n, fill.at, leg.kind, leg.source, leg.target, leg.amount,
       leg.source_balance, leg.target_balance, fill.position_id, fill.user_id, fill.referrer
  from (
    select fills.*,
           'user:' || user_id                        as wallet,
           'margin:' || ticker                       as posted,
           'house:' || ticker                        as house,
           'insurance:' || ticker                    as insurance,
           kind = 'open'                             as adds,
           kind = 'liquidation'                      as liquidates,
           greatest(-pnl, 0) - bad_debt              as loss,
           greatest(pnl, 0)                          as profit,
           coalesce(covered, 0)                      as paid,
           fee - referral                            as charged
      from fills where leg is not null
  ) fill
  cross join lateral (
    values (
        fill.leg,
        case when adds then 'margin' else 'margin_return' end,
        case when adds then wallet else posted end,
        case when adds then posted else wallet end,
        margin,
        case when adds then wallet_balance - profit + charged + referral else margin_balance + loss end,
        case when adds then margin_balance + loss else wallet_balance - profit + charged + referral end
    ), (
        fill.leg + (margin > 0)::int,
        'loss', posted, house, loss,
        margin_balance, house_balance + profit - paid
    ), (
        fill.leg + (margin > 0)::int + (loss > 0)::int,
        'profit', house, wallet, profit,
        house_balance - paid, wallet_balance + charged + referral
    ), (
        fill.leg + (margin > 0)::int + (loss > 0)::int + (profit > 0)::int,
        'bad_debt', insurance, house, paid,
        insurance_balance - case when liquidates then charged else 0 end, house_balance
    ), (
        fill.leg + (margin > 0)::int + (loss > 0)::int + (profit > 0)::int + (paid > 0)::int,
        case when liquidates then 'liquidation_fee' else 'fee' end,
        wallet, case when liquidates then insurance else 'fees' end, charged,
        wallet_balance + referral, case when liquidates then insurance_balance else fees_balance end
    ), (
        fill.leg + (margin > 0)::int + (loss > 0)::int + (profit > 0)::int + (paid > 0)::int + (charged > 0)::int,
        'referral', wallet, 'user:' || fill.referrer, referral,
        wallet_balance, referrer_balance
    )
  ) leg (n, kind, source, target, amount, source_balance, target_balance)
 where leg.amount > 0;

-- Every position, as of the last row that changed it: found by the fill that began it.

create view all_positions as
select fill.position_id                                as id,
       fill.user_id,
       fill.ticker,
       fill."offset"                                   as opened_offset,
       coalesce(changed."offset", fill."offset")       as "offset",
       coalesce(changed.status, 'open')                as status,
       coalesce(changed.opened_at, fill.at)            as opened_at,
       changed.closed_at,
       coalesce(changed.lots, fill.lots)               as lots,
       coalesce(changed.cash, fill.cash)               as cash,
       coalesce(changed.margin, fill.margin)           as margin,
       coalesce(changed.leverage, fill.leverage)       as leverage,
       coalesce(changed.entry_cost, abs(fill.cost))    as entry_cost,
       coalesce(changed.funding_paid, 0)               as funding_paid,
       coalesce(changed.entered_lots, fill.lots)       as entered_lots,
       coalesce(changed.entered_cost, abs(fill.cost))  as entered_cost,
       coalesce(changed.exited_lots, 0)                as exited_lots,
       coalesce(changed.exited_cost, 0)                as exited_cost,
       coalesce(changed.realized_pnl, 0)               as realized_pnl,
       coalesce(changed.fees, fill.fee)                as fees,
       fill.shard
  from fills fill
  left join positions changed
    on changed.shard = fill.shard and changed.user_id = fill.user_id
   and changed.opened_offset = fill."offset" and changed.id = fill.position_id
 where fill.kind = 'open' and (fill.leverage is not null or changed.id is not null);
