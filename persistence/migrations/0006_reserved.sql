-- Keeps the number for a migration that is made elsewhere; it goes when that one comes.
select 1;
