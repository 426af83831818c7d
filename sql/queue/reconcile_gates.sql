select queue.reconcile_gates($1) as "entered!"
