create or replace function queue.keep_run_news(p_keep boolean) returns boolean language plpgsql volatile as $$
declare
    v_kept boolean;
begin
    select bool_and(t.tgenabled <> 'D') into v_kept from pg_trigger t
    where t.tgrelid = 'queue.run'::regclass and t.tgname in ('run_news_start', 'run_news_end');
    if v_kept = p_keep then
        return false;
    end if;
    -- it waits for the transactions that change runs just now, and these wait for it
    perform set_config('lock_timeout', '5s', true);
    if p_keep then
        alter table queue.run enable trigger run_news_start;
        alter table queue.run enable trigger run_news_end;
    else
        alter table queue.run disable trigger run_news_start;
        alter table queue.run disable trigger run_news_end;
        delete from queue.run_news;
    end if;
    return true;
end $$;
comment on function queue.keep_run_news is
    'Has starts and ends of runs kept until they are told, or no longer; returns whether that is new. Without it they cost nothing.';
