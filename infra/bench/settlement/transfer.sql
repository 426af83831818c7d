\set debited random(1, :accounts)
\set credited random(1, :accounts)
-- in one order, so that no two transfers wait for each other
\set first least(:debited, :credited)
\set second greatest(:debited, :credited)
begin;
insert into transfer (debited, credited, amount) values (:debited, :credited, 1);
update account set balance = balance + case when id = :debited then -1 else 1 end where id = :first;
update account set balance = balance + case when id = :debited then -1 else 1 end where id = :second;
commit;
