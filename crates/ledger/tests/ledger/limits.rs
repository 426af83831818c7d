use sqlx::PgConnection;
use tale_ledger::{
    AccountKey, LedgerError, NewHold, NewLimit, RegisteredAsset, balance, find_asset, list_assets,
    list_limits, open_hold, post_journal, register_asset, set_limit, verify,
};
use tale_testkit::TestDatabase;

use crate::{account, holder, issuance, pool, transfer, units};

fn limit(key: &str, account: AccountKey, floor: Option<u64>, ceiling: Option<u64>) -> NewLimit {
    let (floor, ceiling) = (floor.map(units), ceiling.map(units));
    NewLimit { key: key.to_owned(), description: "an operator's".to_owned(), account, floor, ceiling }
}

async fn funded() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut conn = database.connection().await;
    post_journal(&mut conn, &transfer("fund", issuance(), holder(1), 100)).await.unwrap();
    (database, conn)
}

#[tokio::test]
async fn an_account_stays_between_its_floor_and_its_ceiling_with_what_is_pending() {
    let (_database, mut conn) = funded().await;
    set_limit(&mut conn, &limit("a", holder(1), Some(30), Some(120))).await.unwrap();
    let below = post_journal(&mut conn, &transfer("b", holder(1), pool(), 71)).await;
    assert!(
        matches!(&below, Err(LedgerError::BelowFloor { account, .. }) if *account == holder(1).to_string())
    );
    let above = post_journal(&mut conn, &transfer("c", issuance(), holder(1), 21)).await;
    assert!(
        matches!(&above, Err(LedgerError::AboveCeiling { account, .. }) if *account == holder(1).to_string())
    );
    let pledge = NewHold {
        key: "d".to_owned(),
        description: String::new(),
        debit: issuance(),
        credit: holder(1),
        amount: units(20),
        expires_at: None,
    };
    // What is issued later is room taken now.
    post_journal(&mut conn, &transfer("more", issuance(), pool(), 20)).await.unwrap();
    open_hold(&mut conn, &pledge).await.unwrap();
    let above = post_journal(&mut conn, &transfer("e", pool(), holder(1), 1)).await;
    assert!(matches!(above, Err(LedgerError::AboveCeiling { .. })), "{above:?}");

    // Later limits take the place of earlier ones; a repetition of the earlier changes nothing.
    set_limit(&mut conn, &limit("f", holder(1), None, None)).await.unwrap();
    assert!(set_limit(&mut conn, &limit("a", holder(1), Some(30), Some(120))).await.unwrap().already_posted);
    let reused = set_limit(&mut conn, &limit("a", holder(1), Some(31), Some(120))).await;
    assert!(matches!(reused, Err(LedgerError::KeyReused { .. })), "{reused:?}");
    post_journal(&mut conn, &transfer("b", holder(1), pool(), 71)).await.unwrap();
    assert!(list_limits(&mut conn).await.unwrap().is_empty());
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
}

#[tokio::test]
async fn a_limit_that_the_account_breaks_already_is_refused_and_one_of_issuance_caps_the_supply() {
    let (_database, mut conn) = funded().await;
    let above = set_limit(&mut conn, &limit("a", holder(1), None, Some(99))).await;
    assert!(matches!(above, Err(LedgerError::AboveCeiling { .. })), "{above:?}");
    let below = set_limit(&mut conn, &limit("a", holder(1), Some(101), None)).await;
    assert!(matches!(below, Err(LedgerError::BelowFloor { .. })), "{below:?}");
    let upside_down = set_limit(&mut conn, &limit("a", holder(1), Some(2), Some(1))).await;
    assert!(matches!(upside_down, Err(LedgerError::LimitOrder { .. })), "{upside_down:?}");

    set_limit(&mut conn, &limit("supply", issuance(), None, Some(150))).await.unwrap();
    let more = post_journal(&mut conn, &transfer("b", issuance(), pool(), 51)).await;
    assert!(matches!(more, Err(LedgerError::AboveCeiling { .. })), "{more:?}");
    post_journal(&mut conn, &transfer("b", issuance(), pool(), 50)).await.unwrap();
    assert_eq!(list_limits(&mut conn).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_asset_is_counted_apart_and_an_unknown_one_not_at_all() {
    let (_database, mut conn) = funded().await;
    for (number, asset) in ["TALE", "USD", "CREDIT"].into_iter().enumerate() {
        let from = account(&format!("issuance:test:{asset}"));
        let to = AccountKey::new(holder(1).owner().clone(), asset.parse().unwrap());
        post_journal(&mut conn, &transfer(asset, from, to.clone(), 5 + number as u64)).await.unwrap();
        assert_eq!(balance(&mut conn, &to).await.unwrap().amount(), units(5 + number as u64));
    }
    assert_eq!(balance(&mut conn, &holder(1)).await.unwrap().amount(), units(100));

    let (from, to) = (account("issuance:test:GOLD"), account("pool:gold:GOLD"));
    let unknown = post_journal(&mut conn, &transfer("gold", from.clone(), to.clone(), 1)).await;
    assert!(
        matches!(&unknown, Err(LedgerError::UnknownAsset { asset, .. }) if asset == "GOLD"),
        "{unknown:?}"
    );
    let gold = |decimals| RegisteredAsset {
        asset: "GOLD".parse().unwrap(),
        decimals,
        description: "a test".to_owned(),
    };
    assert!(register_asset(&mut conn, &gold(3)).await.unwrap());
    assert!(!register_asset(&mut conn, &gold(3)).await.unwrap());
    assert!(matches!(register_asset(&mut conn, &gold(4)).await, Err(LedgerError::AssetDiffers { .. })));
    assert!(matches!(register_asset(&mut conn, &gold(37)).await, Err(LedgerError::AssetDecimals { .. })));
    post_journal(&mut conn, &transfer("gold", from, to, 1)).await.unwrap();
    assert_eq!(find_asset(&mut conn, &"USD".parse().unwrap()).await.unwrap().unwrap().decimals, 2);
    let report = verify(&mut conn).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.discrepancies);
    assert_eq!(report.assets, list_assets(&mut conn).await.unwrap().len() as u64);
}
