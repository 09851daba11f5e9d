//! The part of the page that shows one cluster: what it uses, its nodes, its greatest containers.

use std::{cmp::Reverse, fmt::Write as _};

use super::super::html::{ago, cores, count, escape, size, thousands};
use crate::{
    core::model::{NodeNow, Overview, Top},
    status::ClusterStatus,
};

/// Nodes that are all listed; of more the busiest are.
const NODES_SHOWN: usize = 50;
const BUSIEST: usize = 20;
/// Parts of the whole, in percent, from which a bar warns.
const WARM: f64 = 75.0;
const HOT: f64 = 90.0;

/// Writes a number for people.
type Unit = fn(f64) -> String;

pub(super) fn write(body: &mut String, cluster: &ClusterStatus, overview: &Overview, now_ms: i64) {
    let received = match cluster.received_unix_ms {
        _ if !cluster.has_answered() => "it did not say how it is".to_owned(),
        0 => "no rows yet".to_owned(),
        time => format!("last rows {}", ago(now_ms, time)),
    };
    let _ = write!(
        body,
        "<h2>Cluster {} <span class=\"dim\">· {received}</span></h2>",
        escape(&cluster.name)
    );
    if cluster.has_answered() {
        write_cards(body, cluster, &overview.nodes);
    }
    write_nodes(body, &cluster.name, &overview.nodes, now_ms);
    body.push_str("<div class=\"pair\">");
    write_top(body, "Most CPU", &overview.top_cpu, cores);
    write_top(body, "Most memory", &overview.top_memory, size);
    body.push_str("</div>");
}

fn write_cards(body: &mut String, cluster: &ClusterStatus, nodes: &[NodeNow]) {
    let failing =
        cluster.hosts.iter().filter(|host| host.state.as_ref().is_some_and(|state| !state.ok));
    let health = match failing.count() {
        0 => count(cluster.buddies, "buddy"),
        failing => {
            format!("<a class=\"bad\" href=\"/validate\">{} failing</a>", thousands(failing as u64))
        }
    };
    let containers: usize = nodes.iter().map(|node| node.containers).sum();
    let _ = write!(
        body,
        "<div class=\"cards\"><div class=\"card\">Hosts<b>{}</b>{health}</div>\
         <div class=\"card\">Containers<b>{}</b><span class=\"dim\">{} in all</span></div>",
        thousands(cluster.hosts.len() as u64),
        thousands(containers as u64),
        count(cluster.entities, "entity"),
    );
    let cpu = nodes.iter().filter_map(|node| Some((node.cpu_millicores?, node.cpu_capacity)));
    write_card(body, "CPU", cpu, cores);
    let memory = nodes.iter().filter_map(|node| Some((node.memory_bytes?, node.memory_capacity)));
    write_card(body, "Memory", memory, size);
    body.push_str("</div>");
}

/// What all nodes use together.
fn write_card(
    body: &mut String,
    title: &str,
    parts: impl Iterator<Item = (f64, Option<f64>)>,
    unit: Unit,
) {
    let (mut known, mut used, mut whole) = (false, 0.0, 0.0);
    for (part, capacity) in parts {
        known = true;
        used += part;
        whole += capacity.unwrap_or_default();
    }
    let value = if known { unit(used) } else { "–".to_owned() };
    let _ = write!(body, "<div class=\"card\">{title}<b>{value}</b>");
    if !known {
        body.push_str("<span class=\"dim\">after the next sample</span>");
    } else if whole > 0.0 {
        let of = unit(whole);
        let percent = percent(used, whole);
        let _ = write!(body, "{}<span class=\"dim\">{percent:.0} % of {of}</span>", bar(percent));
    }
    body.push_str("</div>");
}

fn write_nodes(body: &mut String, cluster: &str, nodes: &[NodeNow], now_ms: i64) {
    if nodes.is_empty() {
        return;
    }
    let mut shown: Vec<&NodeNow> = nodes.iter().collect();
    let title = if nodes.len() > NODES_SHOWN {
        shown.sort_by_key(|node| Reverse(node.cpu_millicores.unwrap_or_default() as i64));
        shown.truncate(BUSIEST);
        format!("The {BUSIEST} busiest of {} nodes", thousands(nodes.len() as u64))
    } else {
        "Nodes".to_owned()
    };
    let _ = write!(
        body,
        "<div class=\"card\" style=\"margin-bottom:.9rem\"><h3>{title}</h3><table><tr><th>Node</th>\
         <th class=\"n\">CPU</th><th></th><th class=\"n\">Memory</th><th></th>\
         <th class=\"n\">Containers</th><th class=\"n\">Sample</th></tr>",
    );
    for node in shown {
        let _ = write!(
            body,
            "<tr><td class=\"name\"><a href=\"/api/v1/clusters/{}/model/nodes/{}/metrics/\">{}</a>\
             </td>{}{}<td class=\"n\">{}</td><td class=\"n dim\">{}</td></tr>",
            encode(cluster),
            encode(&node.name),
            escape(&node.name),
            usage_cells(node.cpu_millicores, node.cpu_capacity, cores),
            usage_cells(node.memory_bytes, node.memory_capacity, size),
            thousands(node.containers as u64),
            ago(now_ms, node.time_ms),
        );
    }
    body.push_str("</table></div>");
}

/// A number and, where the whole is known, a bar.
fn usage_cells(used: Option<f64>, whole: Option<f64>, unit: Unit) -> String {
    let Some(used) = used else { return "<td class=\"n dim\">–</td><td></td>".to_owned() };
    let Some(whole) = whole.filter(|whole| *whole > 0.0) else {
        return format!("<td class=\"n\">{}</td><td></td>", unit(used));
    };
    format!(
        "<td class=\"n\">{} <span class=\"dim\">of {}</span></td><td class=\"gauge\">{}</td>",
        unit(used),
        unit(whole),
        bar(percent(used, whole)),
    )
}

fn percent(used: f64, whole: f64) -> f64 {
    (used / whole * 100.0).clamp(0.0, 100.0)
}

fn bar(percent: f64) -> String {
    let class = match percent {
        HOT.. => "hot",
        WARM.. => "warm",
        _ => "",
    };
    format!(
        "<div class=\"bar\" title=\"{percent:.0} %\">\
         <i class=\"{class}\" style=\"width:{percent:.0}%\"></i></div>"
    )
}

fn write_top(body: &mut String, title: &str, top: &[Top], unit: Unit) {
    if top.is_empty() {
        return;
    }
    let _ = write!(body, "<div class=\"card\"><h3>{title}</h3><table>");
    let greatest = top.first().map_or(1, |top| top.value.max(1)) as f64;
    for container in top {
        let value = container.value as f64;
        let name = escape(&container.name);
        let _ = write!(
            body,
            "<tr><td class=\"name\" title=\"{name}\">{name}<br><span class=\"dim\">on {}</span></td>\
             <td class=\"gauge\"><div class=\"bar\"><i style=\"width:{:.0}%\"></i></div></td>\
             <td class=\"n\">{}</td></tr>",
            escape(&container.node),
            value / greatest * 100.0,
            unit(value),
        );
    }
    body.push_str("</table></div>");
}

/// A name as one segment of a path, fit for an attribute too.
fn encode(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeNow {
        NodeNow {
            name: format!("node-{number}"),
            cpu_millicores: Some(number as f64),
            cpu_capacity: Some(2000.0),
            memory_bytes: None,
            memory_capacity: None,
            containers: 60,
            time_ms: 1,
        }
    }

    /// A thousand nodes are not a thousand lines; those that work most are shown, and it is said.
    #[test]
    fn of_many_nodes_the_busiest_are_shown() {
        let nodes: Vec<NodeNow> = (0..1000).map(node).collect();
        let mut body = String::new();
        write_nodes(&mut body, "lab", &nodes, 1);
        assert!(body.contains("The 20 busiest of 1,000 nodes"), "{body}");
        assert_eq!(body.matches("<tr>").count(), 21);
        assert!(body.contains(">node-999<") && !body.contains(">node-979<"));
    }

    #[test]
    fn a_bar_warns_when_little_is_left() {
        assert!(bar(95.0).contains("hot") && bar(80.0).contains("warm"));
        assert!(!bar(10.0).contains("warm"));
        assert!(usage_cells(Some(500.0), Some(2000.0), cores).contains("width:25%"));
        assert!(usage_cells(None, Some(2000.0), cores).contains('–'));
    }
}
