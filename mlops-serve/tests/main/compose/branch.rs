//! Requests go where they say.

use super::{arms, ask, failing, kind, offset, other_shape, panicking, request, subject};
use mlops_core::{
    ErrorKind, Predictor,
    predictor::{Parameter, PredictRequest},
};
use mlops_serve::compose::{Branch, BranchRule};
use std::sync::Arc;

fn branch(rule: BranchRule) -> Branch {
    let (down, _) = failing(ErrorKind::Unavailable);
    let parts = [("eu", offset(1.0)), ("1", offset(2.0)), ("true", panicking()), ("down", down)];
    Branch::new("b", "1", rule, arms(parts)).unwrap()
}

fn region(value: Parameter) -> PredictRequest {
    let mut request = request();
    request.parameters = Some(Arc::new([("region".to_owned(), value)].into()));
    request
}

mlops_core::predictor_conformance!(
    branch_conforms,
    subject(branch(BranchRule::parameter("region")).with_default("eu").unwrap())
);

fn arm(predictor: &dyn Predictor, request: PredictRequest) -> String {
    ask(predictor, request).unwrap().arm.unwrap().to_string()
}

#[test]
fn a_parameter_a_key_or_a_closure_names_the_arm() {
    let by_parameter = branch(BranchRule::parameter("region")).with_default("1").unwrap();
    assert_eq!(arm(&by_parameter, region(Parameter::Text("eu".to_owned()))), "eu");
    assert_eq!(arm(&by_parameter, region(Parameter::Int(1))), "1");
    assert_eq!(arm(&by_parameter, region(Parameter::Text("mars".to_owned()))), "1");
    assert_eq!(arm(&by_parameter, request()), "1");
    let by_key = branch(BranchRule::key());
    assert_eq!(arm(&by_key, request().with_key("eu")), "eu");
    let large = |request: &PredictRequest| {
        let x = request.inputs.get("x")?.as_slice::<f32>().ok()?;
        Some(if x.iter().sum::<f32>() > 2.0 { "eu" } else { "1" }.into())
    };
    assert_eq!(arm(&branch(BranchRule::by(large)), request()), "eu");
}

#[test]
fn a_request_that_names_no_arm_is_told_what_should() {
    let branch = branch(BranchRule::parameter("region"));
    let error = ask(&branch, region(Parameter::Text("secret".to_owned()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the parameter \"region\" names no arm of \"b\"");
}

#[test]
fn an_arm_or_a_rule_that_fails_loses_one_request() {
    let branch = branch(BranchRule::parameter("region"));
    assert_eq!(kind(ask(&branch, region(Parameter::Bool(true)))), ErrorKind::Internal);
    assert_eq!(
        kind(ask(&branch, region(Parameter::Text("down".to_owned())))),
        ErrorKind::Unavailable
    );
    assert_eq!(arm(&branch, region(Parameter::Int(1))), "1");
    let rule = BranchRule::by(|_| panic!("a rule panics"));
    let branch = Branch::new("b", "1", rule, arms([("a", offset(1.0))])).unwrap();
    assert_eq!(kind(ask(&branch, request())), ErrorKind::Internal);
}

#[test]
fn mistakes_are_named_when_it_is_built() {
    let parts = || arms([("a", offset(1.0)), ("b", other_shape())]);
    let error = Branch::new("b", "1", BranchRule::key(), parts()).unwrap_err();
    assert!(error.to_string().contains("arm \"b\" cannot stand in"), "{error}");
    let error = branch(BranchRule::key()).with_default("none").unwrap_err();
    assert_eq!(error.to_string(), "the branch has no arm \"none\"");
}
