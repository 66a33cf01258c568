output "policy_arn" {
  description = "ARN of the policy, to attach to the role of responders or of an automation."
  value       = aws_iam_policy.quarantine.arn
}

output "policy_json" {
  description = "The policy's document, for places that take no ARN, as an Identity Center permission set."
  value       = data.aws_iam_policy_document.quarantine.json
}
