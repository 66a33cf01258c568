# What `forensics quarantine` may do, and nothing else. The actions are exactly those of
# forensics/aws/actions.py; a test compares the two. Every write is tied to a tag wherever AWS lets a
# policy look at one; where it does not, the comment says what limits it instead.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  account   = data.aws_caller_identity.current.account_id

  ec2 = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  # A snapshot's ARN names no account.
  snapshots = "arn:${local.partition}:ec2:${local.region}::snapshot/*"
  groups    = "arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*"
  targets   = "arn:${local.partition}:elasticloadbalancing:${local.region}:${local.account}:targetgroup/*"
  vpcs      = [for id in var.vpc_ids : "${local.ec2}:vpc/${id}"]
}

data "aws_iam_policy_document" "quarantine" {
  # These calls know no resource: AWS lets a policy allow them for all or for none.
  statement {
    sid = "Look"
    actions = [
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeScalingActivities",
      "ec2:DescribeInstances",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSnapshots",
      "ec2:DescribeVolumes",
      "elasticloadbalancing:DescribeTargetGroups",
      "elasticloadbalancing:DescribeTargetHealth",
    ]
    resources = ["*"]
  }

  # Reads too, but user data and console output hold secrets: of armed instances only.
  statement {
    sid = "LookInside"
    actions = [
      "ec2:DescribeInstanceAttribute",
      "ec2:GetConsoleOutput",
    ]
    resources = ["${local.ec2}:instance/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/${var.target_tag.key}"
      values   = [var.target_tag.value]
    }
  }

  # ModifyInstanceAttribute could also swap user data or type of an armed instance: ec2:Attribute is
  # not present for every form of the request, so it can't be relied on here. AWS lists the instance
  # as a resource of ModifyNetworkInterfaceAttribute too, beside the interface and its groups (below).
  statement {
    sid = "ProtectAndStop"
    actions = [
      "ec2:ModifyInstanceAttribute",
      "ec2:ModifyInstanceMaintenanceOptions",
      "ec2:ModifyNetworkInterfaceAttribute",
      "ec2:StopInstances",
    ]
    resources = ["${local.ec2}:instance/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/${var.target_tag.key}"
      values   = [var.target_tag.value]
    }
  }

  # Keeping a volume on termination is asked of the instance (above) and of its volume. The volume
  # alone gives no right: without the armed instance the same request is refused.
  statement {
    sid       = "KeepVolumes"
    actions   = ["ec2:ModifyInstanceAttribute"]
    resources = ["${local.ec2}:volume/*"]
  }

  # The claim and its state, and no other tag: in particular not the one that arms.
  statement {
    sid       = "Claim"
    actions   = ["ec2:CreateTags"]
    resources = ["${local.ec2}:instance/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/${var.target_tag.key}"
      values   = [var.target_tag.value]
    }

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["afterimage:case", "afterimage:group", "afterimage:state"]
    }
  }

  # Auto Scaling groups carry the tag themselves; instances get it by propagation.
  statement {
    sid       = "Detach"
    actions   = ["autoscaling:DetachInstances"]
    resources = [local.groups]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/${var.target_tag.key}"
      values   = [var.target_tag.value]
    }
  }

  statement {
    sid       = "TakeOffTraffic"
    actions   = ["elasticloadbalancing:DeregisterTargets"]
    resources = [local.targets]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/${var.target_tag.key}"
      values   = [var.target_tag.value]
    }
  }

  # A set of snapshots is asked of the instance, of each volume and of each snapshot.
  statement {
    sid       = "SnapshotTheInstance"
    actions   = ["ec2:CreateSnapshots"]
    resources = ["${local.ec2}:instance/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/${var.target_tag.key}"
      values   = [var.target_tag.value]
    }
  }

  # Volumes often carry no tags. CreateSnapshot is for a volume that outlived its instance, so no
  # armed instance can vouch for it: a snapshot can be made of any volume, but not be read or shared.
  statement {
    sid = "SnapshotTheVolumes"
    actions = [
      "ec2:CreateSnapshot",
      "ec2:CreateSnapshots",
    ]
    resources = ["${local.ec2}:volume/*"]
  }

  # No snapshot without the case that it belongs to: an untagged one would be nobody's to delete.
  statement {
    sid = "SnapshotIntoACase"
    actions = [
      "ec2:CreateSnapshot",
      "ec2:CreateSnapshots",
    ]
    resources = [local.snapshots]

    condition {
      test     = "Null"
      variable = "aws:RequestTag/afterimage:case"
      values   = ["false"]
    }
  }

  # Tags only while something is being created; volume tags are copied, so keys can't be listed.
  statement {
    sid       = "TagNewSnapshots"
    actions   = ["ec2:CreateTags"]
    resources = [local.snapshots]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateSnapshot", "CreateSnapshots"]
    }
  }

  statement {
    sid       = "TagNewSecurityGroups"
    actions   = ["ec2:CreateTags"]
    resources = ["${local.ec2}:security-group/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateSecurityGroup"]
    }
  }

  # A group is made with its purpose as tag, and only a group with that tag can be changed or used.
  statement {
    sid       = "MakeQuarantineGroups"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = ["${local.ec2}:security-group/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/afterimage:purpose"
      values   = ["quarantine"]
    }
  }

  statement {
    sid       = "MakeQuarantineGroupsHere"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = local.vpcs
  }

  # Opening is the first half of cutting tracked connections of an instance that keeps running.
  statement {
    sid = "ShapeQuarantineGroups"
    actions = [
      "ec2:AuthorizeSecurityGroupEgress",
      "ec2:AuthorizeSecurityGroupIngress",
      "ec2:RevokeSecurityGroupEgress",
    ]
    resources = ["${local.ec2}:security-group/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/afterimage:purpose"
      values   = ["quarantine"]
    }
  }

  # An interface carries no tag of its instance, and the request does not name the instance. What
  # limits it: the VPC, and that the only groups which can be given are those of the quarantine.
  statement {
    sid       = "IsolateInterfaces"
    actions   = ["ec2:ModifyNetworkInterfaceAttribute"]
    resources = ["${local.ec2}:network-interface/*"]

    condition {
      test     = "ArnLike"
      variable = "ec2:Vpc"
      values   = local.vpcs
    }
  }

  statement {
    sid       = "IsolateIntoQuarantineGroups"
    actions   = ["ec2:ModifyNetworkInterfaceAttribute"]
    resources = ["${local.ec2}:security-group/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/afterimage:purpose"
      values   = ["quarantine"]
    }
  }
}

resource "aws_iam_policy" "quarantine" {
  name        = var.name
  path        = var.path
  description = "What Afterimage's quarantine may do: read, and set aside what ${var.target_tag.key} arms."
  policy      = data.aws_iam_policy_document.quarantine.json
  tags        = var.tags
}
