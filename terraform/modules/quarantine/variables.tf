variable "name" {
  description = "Name of the policy."
  type        = string
  default     = "afterimage-quarantine"
}

variable "path" {
  description = "IAM path of the policy; begins and ends with a slash."
  type        = string
  default     = "/afterimage/"

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.path))
    error_message = "An IAM path begins and ends with a slash, as /afterimage/."
  }
}

variable "target_tag" {
  description = <<-EOT
    The tag that says what may be quarantined: instances, Auto Scaling groups and target groups must
    carry it before any of them can be written to. There is no default: arming is a decision. Let the
    group propagate it at launch. The value may hold * and ?.
  EOT
  type = object({
    key   = string
    value = string
  })

  validation {
    condition     = length(var.target_tag.key) > 0 && !startswith(var.target_tag.key, "aws:")
    error_message = "Name a tag key of your own; AWS sets those that begin with aws: itself."
  }
}

variable "vpc_ids" {
  description = "VPCs in which instances may be isolated; [\"*\"] for every VPC of the account."
  type        = set(string)
  default     = ["*"]

  validation {
    condition     = length(var.vpc_ids) > 0
    error_message = "Without a VPC no instance can be isolated."
  }
}

variable "tags" {
  description = "Tags of the policy itself."
  type        = map(string)
  default     = {}
}
