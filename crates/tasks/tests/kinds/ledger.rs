use chrono::{Duration, Utc};
use serde_json::json;
use tale_ledger::{HoldFilter, NewHold, list_holds, open_hold};
use tale_primitives::Amount;

use crate::plant::Plant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_holds_are_ended_once_and_others_stay() {
    let plant = Plant::set_up().await;
    let mut connection = plant.pool.acquire().await.unwrap();
    let soon = Utc::now() + Duration::milliseconds(500);
    for (key, expires_at) in [
        ("short", Some(soon)),
        ("brief", Some(soon)),
        ("long", Some(soon + Duration::hours(1))),
        ("endless", None),
    ] {
        let hold = NewHold {
            key: key.to_owned(),
            description: "a pledge".to_owned(),
            debit: "issuance:licence-sales:USD".parse().unwrap(),
            credit: "pool:licence-sales:USD".parse().unwrap(),
            amount: Amount::from(7_u64),
            expires_at,
        };
        open_hold(&mut connection, &hold).await.unwrap();
    }
    while Utc::now() <= soon {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(plant.outputs("ledger.expire", json!({})).await, json!({ "expired": 2 }));
    assert_eq!(plant.outputs("ledger.expire", json!({})).await, json!({ "expired": 0 }));
    let open = HoldFilter { with_ended: false, account: None, limit: 10 };
    let keys: Vec<_> =
        list_holds(&mut connection, &open).await.unwrap().into_iter().map(|hold| hold.key).collect();
    assert_eq!(keys, ["long", "endless"]);
    drop(connection);
    plant.stop().await;
}
