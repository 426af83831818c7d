use tale_treasury::{ClaimsError, parse_rewards_csv};

const A: &str = "0x1111111111111111111111111111111111111111";
const B: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const TOKEN: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn refused(text: impl AsRef<[u8]>) -> ClaimsError {
    parse_rewards_csv(text.as_ref()).expect_err("a file that should be refused")
}

#[test]
fn lines_are_read_in_their_order_with_a_mark_crlf_blank_lines_and_spaces() {
    let text = format!("\u{feff}account,token,cumulative\r\n{B},{TOKEN},5\r\n\r\n {A} , {TOKEN} , 007 \r\n");
    let leaves = parse_rewards_csv(text.as_bytes()).unwrap();
    assert_eq!(leaves.iter().map(|leaf| leaf.account.to_string()).collect::<Vec<_>>(), [B, A]);
    assert_eq!(leaves.iter().map(|leaf| leaf.cumulative.to_string()).collect::<Vec<_>>(), ["5", "7"]);
    let bare_end = format!("account,token,cumulative\n{A},{TOKEN},1");
    assert_eq!(parse_rewards_csv(bare_end.as_bytes()).unwrap().len(), 1);
}

#[test]
fn an_empty_file_a_lone_header_and_a_wrong_header_are_told_apart() {
    assert!(matches!(refused(""), ClaimsError::Empty));
    assert!(matches!(refused("\n\n"), ClaimsError::Empty));
    assert!(matches!(refused("account,token,cumulative\n"), ClaimsError::NoRewards));
    for header in
        ["address,token,cumulative", "account,cumulative,token", "account,token", &format!("{A},{TOKEN},1")]
    {
        let error = refused(format!("{header}\n{A},{TOKEN},1\n"));
        assert!(matches!(&error, ClaimsError::Header { found } if found == header), "{error}");
        assert_eq!(error.line(), 1);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let third = |line: &str| refused(format!("account,token,cumulative\n{A},{TOKEN},1\n{line}\n"));
    let wrong_checksum = B.replace("5aA", "5Aa");
    for (line, expected) in [
        (format!("0x12,{TOKEN},1"), "line 3: account: \"0x12\" is not an address"),
        (format!("{A},xTALE,1"), "line 3: token: \"xTALE\" is not an address"),
        (format!("{wrong_checksum},{TOKEN},1"), "line 3: account: 0x5Aaeb6"),
        (format!("{B},{TOKEN},1.5"), "line 3: cumulative: \"1.5\" is not an amount"),
        (format!("{B},{TOKEN},-1"), "line 3: cumulative: \"-1\" is not an amount"),
        (format!("{B},{TOKEN},"), "line 3: cumulative: \"\" is not an amount"),
        (format!("{B},{TOKEN},{}", "9".repeat(78)), "line 3: cumulative: 999"),
        (format!("{B},{TOKEN}"), "line 3: expected 3 columns, found 2"),
        (format!("{B},{TOKEN},1,2"), "line 3: expected 3 columns, found 4"),
    ] {
        let error = third(&line);
        assert!(error.to_string().starts_with(expected), "{error} for {line}");
        assert_eq!(error.line(), 3);
    }
}

#[test]
fn an_account_with_the_same_token_twice_is_refused_whatever_its_case() {
    let lower = B.to_lowercase();
    let error =
        refused(format!("account,token,cumulative\n{B},{TOKEN},1\n\n{A},{TOKEN},1\n{lower},{TOKEN},2\n"));
    assert!(matches!(error, ClaimsError::Duplicate { first: 2, line: 5, .. }), "{error}");
    let two_tokens = format!("account,token,cumulative\n{A},{TOKEN},1\n{A},{B},1\n");
    assert_eq!(parse_rewards_csv(two_tokens.as_bytes()).unwrap().len(), 2);
}

#[test]
fn bytes_that_are_not_text_are_refused_with_their_line() {
    let mut bytes = format!("account,token,cumulative\n{A},{TOKEN},1\n").into_bytes();
    bytes.extend([0xff, 0xfe, b'\n']);
    let error = refused(bytes);
    assert!(matches!(error, ClaimsError::Unreadable { line: 3, .. }), "{error}");
}
