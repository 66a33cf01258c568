# A role that responders assume to quarantine instances of one armed group.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "region" {
  description = "Region of the fleet."
  type        = string
  default     = "eu-west-1"
}

variable "vpc_id" {
  description = "VPC of the fleet."
  type        = string
}

variable "responders" {
  description = "ARNs of those who may assume the role."
  type        = set(string)
}

provider "aws" {
  region = var.region
}

module "quarantine" {
  source = "../../modules/quarantine"

  target_tag = { key = "afterimage:armed", value = "true" }
  vpc_ids    = [var.vpc_id]
}

data "aws_iam_policy_document" "responders" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.responders
    }
  }
}

resource "aws_iam_role" "responder" {
  name                 = "afterimage-responder"
  path                 = "/afterimage/"
  assume_role_policy   = data.aws_iam_policy_document.responders.json
  max_session_duration = 14400
}

resource "aws_iam_role_policy_attachment" "responder" {
  role       = aws_iam_role.responder.name
  policy_arn = module.quarantine.policy_arn
}

# On the fleet's side, the group arms itself and its instances:
#
#   resource "aws_autoscaling_group" "web" {
#     …
#     tag {
#       key                 = "afterimage:armed"
#       value               = "true"
#       propagate_at_launch = true
#     }
#   }

output "role_arn" {
  description = "For a profile: role_arn in ~/.aws/config, then `forensics quarantine --profile …`."
  value       = aws_iam_role.responder.arn
}
