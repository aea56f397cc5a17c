#include "iam/aws_policies.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "base/hash.h"

namespace millrace::iam {
namespace {

constexpr std::string_view kPrefix = "arn:aws:iam::aws:policy/";
constexpr base::TimeMs kCreated = 1'423'180'800'000;  // 2015-02-06, when managed policies came
constexpr std::string_view kNoAction = "unknown-to-millrace:*";
constexpr size_t kNamesMax = 10'000;

// What each allows, on every resource; actions without blanks between the commas.
struct Known {
  std::string_view name;  // with its path
  std::string_view actions;
};
constexpr std::array kKnown = {
    Known{"AdministratorAccess", "*"},
    Known{"AmazonEC2ContainerRegistryReadOnly",
          "ecr:GetAuthorizationToken,ecr:BatchCheckLayerAvailability,ecr:GetDownloadUrlForLayer,ecr:"
          "BatchGetImage"},
    Known{"AmazonECS_FullAccess", "ecs:*,logs:*,iam:PassRole,iam:ListRoles"},
    Known{"AmazonEventBridgeFullAccess", "events:*,schemas:*,scheduler:*,pipes:*,iam:PassRole"},
    Known{"AmazonEventBridgeReadOnlyAccess", "events:Describe*,events:List*,events:TestEventPattern"},
    Known{"AmazonEventBridgeSchedulerFullAccess", "scheduler:*,iam:PassRole"},
    Known{"AmazonRDSFullAccess", "rds:*,cloudwatch:*,logs:DescribeLogStreams,logs:GetLogEvents,sns:*"},
    Known{"AmazonRedshiftDataFullAccess", "redshift-data:*,redshift:GetClusterCredentials,secretsmanager:*"},
    Known{"AmazonRedshiftFullAccess", "redshift:*,sns:*,cloudwatch:*"},
    Known{"AmazonS3FullAccess", "s3:*,s3-object-lambda:*"},
    Known{"AmazonS3ReadOnlyAccess", "s3:Get*,s3:List*,s3:Describe*"},
    Known{"AmazonSSMFullAccess", "ssm:*,cloudwatch:PutMetricData"},
    Known{"AmazonSSMManagedInstanceCore",
          "ssm:DescribeAssociation,ssm:GetDocument,ssm:GetParameter,ssm:GetParameters,ssm:PutInventory,"
          "ssmmessages:*,ec2messages:*"},
    Known{"AmazonSSMReadOnlyAccess", "ssm:Describe*,ssm:Get*,ssm:List*"},
    Known{"AWSBatchFullAccess",
          "batch:*,ecs:DescribeClusters,ecs:List*,logs:Describe*,logs:Get*,logs:TestMetricFilter,"
          "iam:ListInstanceProfiles,iam:ListRoles,iam:PassRole,iam:CreateServiceLinkedRole"},
    Known{"CloudWatchEventsFullAccess", "events:*,iam:PassRole"},
    Known{"CloudWatchFullAccess", "cloudwatch:*,logs:*,sns:*,iam:GetPolicy,iam:GetPolicyVersion,iam:GetRole"},
    Known{"CloudWatchLogsFullAccess", "logs:*,cloudwatch:GenerateQuery"},
    Known{"CloudWatchLogsReadOnlyAccess",
          "logs:Describe*,logs:Get*,logs:List*,logs:StartQuery,logs:StopQuery,logs:TestMetricFilter,"
          "logs:FilterLogEvents,logs:StartLiveTail,logs:StopLiveTail"},
    Known{"IAMFullAccess", "iam:*,organizations:DescribeAccount"},
    Known{"IAMReadOnlyAccess",
          "iam:GenerateCredentialReport,iam:GenerateServiceLastAccessedDetails,iam:Get*,iam:List*,"
          "iam:SimulateCustomPolicy,iam:SimulatePrincipalPolicy"},
    Known{"ReadOnlyAccess",
          "batch:Describe*,batch:Get*,batch:List*,events:Describe*,events:List*,events:Test*,iam:Get*,iam:"
          "List*,"
          "iam:Simulate*,logs:Describe*,logs:FilterLogEvents,logs:Get*,logs:List*,logs:StartLiveTail,"
          "logs:TestMetricFilter,s3:Get*,s3:List*,s3:Describe*,scheduler:Get*,scheduler:List*,"
          "secretsmanager:Describe*,secretsmanager:GetResourcePolicy,secretsmanager:List*,ssm:Describe*,ssm:"
          "Get*,"
          "ssm:List*,sts:GetAccessKeyInfo,sts:GetCallerIdentity,sts:GetSessionToken,cloudtrail:LookupEvents"},
    Known{"SecretsManagerReadWrite",
          "secretsmanager:*,kms:DescribeKey,kms:ListAliases,kms:ListKeys,tag:GetResources"},
    Known{"service-role/AmazonEC2ContainerServiceforEC2Role",
          "ec2:DescribeTags,ecs:CreateCluster,ecs:DeregisterContainerInstance,ecs:DiscoverPollEndpoint,ecs:"
          "Poll,"
          "ecs:RegisterContainerInstance,ecs:StartTelemetrySession,ecs:UpdateContainerInstancesState,ecs:"
          "Submit*,"
          "ecr:GetAuthorizationToken,ecr:BatchCheckLayerAvailability,ecr:GetDownloadUrlForLayer,ecr:"
          "BatchGetImage,"
          "logs:CreateLogStream,logs:PutLogEvents"},
    Known{"service-role/AmazonEC2SpotFleetTaggingRole",
          "ec2:RequestSpotInstances,ec2:TerminateInstances,ec2:CreateTags"},
    Known{"service-role/AmazonECSTaskExecutionRolePolicy",
          "ecr:GetAuthorizationToken,ecr:BatchCheckLayerAvailability,ecr:GetDownloadUrlForLayer,ecr:"
          "BatchGetImage,"
          "logs:CreateLogStream,logs:PutLogEvents"},
    Known{"service-role/AWSBatchServiceEventTargetRole", "batch:SubmitJob"},
    Known{"service-role/AWSBatchServiceRole",
          "ec2:Describe*,autoscaling:*,ecs:*,logs:CreateLogGroup,logs:CreateLogStream,logs:PutLogEvents,"
          "logs:DescribeLogGroups,iam:GetInstanceProfile,iam:GetRole"},
};

ManagedPolicy make(std::string_view name, std::string_view effect, std::string_view actions) {
  ManagedPolicy policy;
  size_t slash = name.rfind('/');
  policy.path = slash == std::string_view::npos ? "/" : "/" + std::string(name.substr(0, slash + 1));
  policy.name = slash == std::string_view::npos ? name : name.substr(slash + 1);
  policy.arn = std::string(kPrefix) + std::string(name);
  policy.created = policy.updated = kCreated;
  // Ids are stable: they come from the name.
  policy.id = "ANPA";
  for (char c : base::sha256(policy.arn).substr(0, 17))
    policy.id += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[static_cast<unsigned char>(c) & 31];
  std::string list;
  while (!actions.empty()) {
    size_t comma = std::min(actions.find(','), actions.size());
    list += (list.empty() ? "\"" : ",\"") + std::string(actions.substr(0, comma)) + '"';
    actions.remove_prefix(std::min(comma + 1, actions.size()));
  }
  policy.versions.push_back(
      {1,
       Document(R"({"Version":"2012-10-17","Statement":[{"Effect":")" + std::string(effect) +
                    R"(","Action":[)" + list + R"(],"Resource":"*"}]})",
                PolicyKind::kIdentity),
       kCreated});
  return policy;
}

using Table = std::map<std::string, ManagedPolicy, std::less<>>;

const Table& known() {
  static const Table table = [] {
    Table made;
    for (const Known& one : kKnown) {
      ManagedPolicy policy = make(one.name, "Allow", one.actions);
      std::string arn = policy.arn;
      made.emplace(std::move(arn), std::move(policy));
    }
    return made;
  }();
  return table;
}

}  // namespace

bool is_known_aws_policy(std::string_view arn) { return known().contains(arn); }

std::shared_ptr<const Policy> allows_nothing() {
  static const ManagedPolicy nothing = make("none", "Deny", kNoAction);
  return nothing.current().policy;
}

const ManagedPolicy* aws_policy(std::string_view arn) {
  if (auto found = known().find(arn); found != known().end()) return &found->second;
  if (!arn.starts_with(kPrefix) || arn.size() == kPrefix.size() || arn.size() > 256) return nullptr;
  std::string_view name = arn.substr(kPrefix.size());
  bool good = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("+=,.@_-/").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (!good || name.back() == '/') return nullptr;
  // Pointers into a map stay good.
  static std::mutex mutex;
  static Table others;
  std::lock_guard lock(mutex);
  if (auto found = others.find(arn); found != others.end()) return &found->second;
  if (others.size() >= kNamesMax) return nullptr;
  return &others.emplace(std::string(arn), make(name, "Deny", kNoAction)).first->second;
}

std::vector<const ManagedPolicy*> aws_policies() {
  std::vector<const ManagedPolicy*> out;
  for (const auto& [arn, policy] : known()) out.push_back(&policy);
  return out;
}

}  // namespace millrace::iam
